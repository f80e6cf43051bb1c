//! Templates in, expanded templates or diagnostics out: the pages in `tests/cases`.

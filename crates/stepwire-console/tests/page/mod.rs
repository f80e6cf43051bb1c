//! What tests of pages share.

use std::collections::BTreeSet;

use stepwire_console::Page;

pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'";

/// What a page says: its text, one space between words.
pub(crate) fn said(page: &Page) -> String {
    let mut text = String::new();
    let mut inside = false;
    for letter in page.main.0.chars() {
        match letter {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if inside => {}
            letter => text.push(letter),
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What holds of every page: no style or script in it, every id once, hostile text is text.
pub(crate) fn check(page: &Page) {
    let html = &page.main.0;
    for wrong in ["<img", " style=\"", " onclick", "<script", "javascript:"] {
        assert!(!html.contains(wrong), "{wrong}: {html}");
    }
    let ids = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut seen = BTreeSet::new();
    for id in ids {
        assert!(seen.insert(id.to_owned()), "`{id}` is there twice");
    }
    let lists = page.parts.lists.iter().map(|(id, _)| id);
    for id in page.parts.regions.iter().map(|(id, _)| id).chain(lists) {
        assert!(seen.contains(id), "region `{id}` is not in the page");
    }
}

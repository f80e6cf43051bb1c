//! Queues as the kernel keeps them.

//! Work that runs ahead in a thread of its own.

use anyhow::{Result, bail};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Items made ahead of time, in order.
///
/// What is ready does not depend on when it is asked for: the items are those that calling `make`
/// again and again would give. Dropping it ends the thread after the item in work.
pub struct Prefetch<T> {
    items: Option<Receiver<Result<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts to make items, at most `ahead` of them before they are asked for. The first error is
    /// the last item.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(ahead: usize, mut make: impl FnMut() -> Result<T> + Send + 'static) -> Result<Self> {
        let (sender, receiver) = sync_channel(ahead.saturating_sub(1));
        let thread = std::thread::Builder::new().name("prefetch".to_owned()).spawn(move || {
            loop {
                let item = make();
                let last = item.is_err();
                if sender.send(item).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self { items: Some(receiver), thread: Some(thread) })
    }

    /// The next item; waits for it if need be.
    ///
    /// # Errors
    /// What `make` gave, or: it panicked.
    pub fn wait(&mut self) -> Result<T> {
        match self.items.as_ref().and_then(|items| items.recv().ok()) {
            Some(item) => item,
            None => bail!("the thread that works ahead has ended{}", self.panic()),
        }
    }
}

impl<T> Prefetch<T> {
    /// What the thread said when it panicked, if it did.
    fn panic(&mut self) -> String {
        let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) else {
            return String::new();
        };
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!(": it panicked: {}", text.unwrap_or("without a word"))
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.items = None; // the thread's next `send` fails
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_an_error_last() {
        let mut number = 0;
        let mut prefetch = Prefetch::new(2, move || {
            number += 1;
            if number > 3 { bail!("only 3") } else { Ok(number) }
        })
        .unwrap();
        for expected in 1..=3 {
            assert_eq!(prefetch.wait().unwrap(), expected);
        }
        assert!(prefetch.wait().unwrap_err().to_string().contains("only 3"));
        assert!(prefetch.wait().is_err());
    }

    #[test]
    fn a_panic_is_told() {
        let mut prefetch = Prefetch::<u8>::new(1, || panic!("no {}", "luck")).unwrap();
        let error = prefetch.wait().unwrap_err().to_string();
        assert!(error.contains("no luck"), "{error}");
    }

    #[test]
    fn dropping_it_ends_the_thread() {
        let held = std::sync::Arc::new(());
        let inside = held.clone();
        drop(Prefetch::new(2, move || Ok(inside.clone())).unwrap());
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
    }
}

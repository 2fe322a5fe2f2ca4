//! Secret memory: a file that can only be mapped.
//!
//! All memory of an enclave is secret from the host; this keeps some of it from being read or written by
//! anything but the program's own instructions and the buffers that it hands over.
//!
//! Source: `memfd_secret(2)`.

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use storage::pages::Pages;

use crate::anonymous::{Identity, Owner};
use crate::object::{Attempt, Object, OpenFile, Stat, Status};

/// The path that its links and mappings show.
pub const PATH: &str = "/secretmem (deleted)";

/// The file.
pub struct Secret {
    pages: Arc<Pages>,
    identity: Identity,
}

/// Makes one, empty.
pub fn secret(owner: Owner) -> Arc<OpenFile> {
    let object = Arc::new(Secret { pages: Pages::new(), identity: Identity::new(owner) });
    OpenFile::new(object, Status::READ_WRITE | Status::LARGE, None)
}

impl Object for Secret {
    fn changeable(&self) -> Option<&Identity> {
        Some(&self.identity)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat { size: self.pages.size(), ..self.identity.regular() })
    }

    fn pages(&self) -> Option<Arc<Pages>> {
        Some(Arc::clone(&self.pages))
    }

    fn truncate(&self, len: u64) -> Attempt<()> {
        if self.pages.size() != 0 {
            return Err(Errno::EINVAL.because("secret memory gets its length once").into());
        }
        Ok(self.pages.truncate(len)?)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::secret;
    use crate::anonymous::Owner;

    #[test]
    fn its_length_is_set_once() {
        let file = secret(Owner::default());
        assert!(file.object().truncate(0).is_ok());
        assert!(file.object().truncate(5000).is_ok());
        assert!(file.object().truncate(5000).is_err());
        assert_eq!(file.object().stat().unwrap().size, 5000);
    }
}

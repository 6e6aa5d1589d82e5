//! Small disks, to be filled.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system in memory, unmounted when dropped. Tests run as root, whom permissions do not stop; a
/// full or read-only disk does.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts one with these options, for example `size=200k` or `ro`. `None`, with a word on standard
    /// error, where that is not possible or not allowed: the test then has nothing to test.
    pub fn or_skip(options: &str) -> Option<Self> {
        let name = format!("alrc-disk-{}-{}", std::process::id(), options.replace('=', "-"));
        let folder = std::env::temp_dir().join(name);
        let made = std::fs::create_dir_all(&folder).is_ok();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder).stderr(Stdio::null());
        if made && mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: no disk with {options} can be mounted here, so it cannot be tried");
        None
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Changes its options: `remount,size=9m`.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-o", &format!("remount,{options}")]).arg(&self.0);
        assert!(mount.status().is_ok_and(|status| status.success()), "remount with {options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What cannot be unmounted now goes with its last user.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

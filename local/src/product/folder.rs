//! The data folder. It holds personal data: nobody but its owner can enter it, and one process at a time works on it.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::standins::files::{make_dir, open_private};

/// The table's file.
const TABLE: &str = "table.db";

/// The queues' file.
const QUEUES: &str = "queues.db";

/// The file that the process that works on the folder holds a lock on.
const LOCK: &str = "lock";

/// The folder with what people were sent.
const MESSAGES: &str = "told";

/// What SQLite puts beside its files.
const BESIDE: [&str; 4] = ["table.db-wal", "table.db-shm", "queues.db-wal", "queues.db-shm"];

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system does not let us.
    #[error("the data folder {0} cannot be used (choose another with --data, or use --memory)")]
    Unusable(String, #[source] io::Error),
    /// Somebody else's things are in it, and others can read it.
    #[error(
        "the folder {0} holds other files and can be read by others. Choose a folder of its own with --data"
    )]
    Shared(String),
    /// A file in it leads elsewhere.
    #[error("{0} is a symbolic link. Remove it, or choose another data folder with --data")]
    Link(String),
    /// There is no data yet.
    #[error("no data in {0}. Start the receiver first (cargo run), or choose another folder with --data")]
    NoData(String),
    /// Another process works on it.
    #[error("the data folder {0} is in use by another process. Choose another with --data")]
    Locked(String),
}

/// A data folder that no other process works on for as long as this lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder, or narrows the rights of one that exists, and locks it.
    ///
    /// # Errors
    /// [`FolderError`], in a line that says what to do.
    pub fn claim(path: &Path) -> Result<Self, FolderError> {
        let unusable = |error| FolderError::Unusable(path.display().to_string(), error);
        make_private(path)?;
        // Nobody else can put anything into the folder from here on.
        for name in [TABLE, QUEUES, LOCK, MESSAGES].into_iter().chain(BESIDE) {
            narrow_file(&path.join(name))?;
        }
        let lock = open_private(&path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(FolderError::Locked(path.display().to_string()));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        // SQLite gives the files beside these the same rights.
        for name in [TABLE, QUEUES] {
            open_private(&path.join(name)).map_err(unusable)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// As [`DataFolder::claim`], where there is data; nothing is made.
    ///
    /// # Errors
    /// [`FolderError`], in a line that says what to do.
    pub fn claim_existing(path: &Path) -> Result<Self, FolderError> {
        if !path.join(TABLE).exists() {
            return Err(FolderError::NoData(path.display().to_string()));
        }
        Self::claim(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The table's file.
    pub fn table(&self) -> PathBuf {
        self.path.join(TABLE)
    }

    /// The queues' file.
    pub fn queues(&self) -> PathBuf {
        queues_of(&self.path)
    }

    /// The folder for what people are sent; made when it is needed.
    pub fn messages(&self) -> PathBuf {
        messages_of(&self.path)
    }
}

/// The folder for what people are sent, of a folder that another process may be working on.
pub fn messages_of(folder: &Path) -> PathBuf {
    folder.join(MESSAGES)
}

/// The queues' file of a folder that another process works on.
pub fn queues_of(folder: &Path) -> PathBuf {
    folder.join(QUEUES)
}

/// Makes the folder, or takes the rights of others away from one that exists.
fn make_private(path: &Path) -> Result<(), FolderError> {
    let name = || path.display().to_string();
    let unusable = |error| FolderError::Unusable(name(), error);
    make_dir(path).map_err(unusable)?;
    let mode = std::fs::metadata(path).map_err(unusable)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let is_ours = [TABLE, QUEUES, LOCK].into_iter().any(|name| path.join(name).exists());
    let is_empty = std::fs::read_dir(path).map_err(unusable)?.next().is_none();
    if !is_ours && !is_empty {
        return Err(FolderError::Shared(name()));
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(unusable)?;
    warn!(
        folder = name(),
        before = format!("{:o}", mode & 0o777),
        "the data folder was readable by others; now only its owner can read it (700)"
    );
    Ok(())
}

/// Takes the rights of others away from a file of ours, or from what is in a folder; what leads elsewhere is refused.
fn narrow_file(path: &Path) -> Result<(), FolderError> {
    let unusable = |error| FolderError::Unusable(path.display().to_string(), error);
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(unusable)?,
    };
    if found.is_symlink() {
        return Err(FolderError::Link(path.display().to_string()));
    }
    let mode = found.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700)).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn folder_of(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        folder
    }

    #[test]
    fn a_new_folder_and_its_files_are_their_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = DataFolder::claim(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        for file in [folder.table(), folder.queues(), path.join(LOCK)] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn a_folder_that_others_could_read_is_narrowed_with_all_that_is_in_it() {
        let folder = folder_of(0o755);
        for name in [TABLE, QUEUES, LOCK, "table.db-wal"] {
            std::fs::write(folder.path().join(name), "").unwrap();
            std::fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o644)).unwrap();
        }
        DataFolder::claim(folder.path()).unwrap();
        assert_eq!(mode(folder.path()), 0o700);
        for name in [TABLE, QUEUES, LOCK, "table.db-wal"] {
            assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn an_empty_folder_is_taken_and_one_with_other_things_that_others_can_read_is_not() {
        let empty = folder_of(0o755);
        DataFolder::claim(empty.path()).unwrap();
        let shared = folder_of(0o755);
        std::fs::write(shared.path().join("letter.txt"), "").unwrap();
        assert!(matches!(DataFolder::claim(shared.path()), Err(FolderError::Shared(_))));
        assert_eq!(mode(shared.path()), 0o755);
    }

    #[test]
    fn a_link_among_its_files_is_refused_and_its_target_left_alone() {
        for name in [LOCK, TABLE, QUEUES, MESSAGES] {
            let folder = folder_of(0o700);
            let target = folder.path().join("precious");
            std::fs::write(&target, "precious").unwrap();
            symlink(&target, folder.path().join(name)).unwrap();
            assert!(matches!(DataFolder::claim(folder.path()), Err(FolderError::Link(_))), "{name}");
            assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious", "{name}");
        }
    }

    #[test]
    fn what_the_lock_holds_is_not_truncated_and_one_process_holds_it() {
        let folder = folder_of(0o700);
        std::fs::write(folder.path().join(LOCK), "kept").unwrap();
        let held = DataFolder::claim(folder.path()).unwrap();
        assert!(matches!(DataFolder::claim(folder.path()), Err(FolderError::Locked(_))));
        assert_eq!(std::fs::read_to_string(folder.path().join(LOCK)).unwrap(), "kept");
        drop(held);
        DataFolder::claim(folder.path()).unwrap();
    }
}

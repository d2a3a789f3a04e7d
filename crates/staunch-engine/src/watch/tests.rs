#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use staunch_store::{Durability, Sqlite, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Directory;
use crate::catalog::Catalog;
use crate::limits::Limits;

/// A watch takes a few tenths of a second; one that is lost, a minute.
const SOON: Duration = Duration::from_secs(20);

struct Bed {
    root: TempDir,
    directory: Directory,
    catalog: Arc<Catalog>,
    store: Arc<Sqlite>,
}

impl Bed {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("workflows");
        fs::create_dir(&path).unwrap();
        let store = Sqlite::open(&root.path().join("data"), Limits::default().store(), Durability::Off).unwrap();
        Self {
            directory: Directory::new(path, &Limits { workflows_max: 10, ..Limits::default() }),
            catalog: Arc::new(Catalog::new(1 << 20)),
            store: Arc::new(store),
            root,
        }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("workflows")
    }

    fn write(&self, file: &str, name: &str) {
        write(&self.path().join(file), name);
    }

    /// What is known after a scan: `name=file`, then `!file: what is wrong`.
    async fn scan(&mut self) -> Vec<String> {
        self.directory.scan(&self.catalog, &*self.store).await.unwrap();
        let stored = self.store.workflows().await.unwrap();
        assert_eq!(stored.len(), self.catalog.list().len(), "the store has what the catalog has");
        known(&self.catalog)
    }
}

fn write(path: &Path, name: &str) {
    fs::write(path, format!("name: {name}\nsteps:\n  - {{ id: a, run: 'true' }}\n")).unwrap();
}

fn known(catalog: &Catalog) -> Vec<String> {
    let good = catalog.list().into_iter().map(|known| format!("{}={}", known.name, known.file.clone().unwrap()));
    let bad = catalog.broken().into_iter().map(|(file, faults)| format!("!{file}: {}", faults[0].message));
    good.chain(bad).collect()
}

/// A later life: a broken file goes on with its last good text, a file that went while nobody looked does not.
#[tokio::test]
async fn a_later_life_takes_over_what_is_still_there() {
    let mut bed = Bed::new();
    bed.write("broken.yaml", "kept");
    bed.write("gone.yaml", "gone");
    bed.scan().await;
    fs::write(bed.path().join("broken.yaml"), "steps: 3").unwrap();
    fs::remove_file(bed.path().join("gone.yaml")).unwrap();
    bed.directory = Directory::new(bed.path(), &Limits::default());
    bed.catalog = Arc::new(Catalog::new(1 << 20));
    bed.directory.scan(&bed.catalog, &*bed.store).await.unwrap();
    bed.directory.retire_unseen(&bed.catalog, &*bed.store).await.unwrap();
    let found = bed.scan().await;
    assert_eq!(found[0], "kept=broken.yaml", "{found:#?}");
    assert!(found.len() == 2 && found[1].starts_with("!broken.yaml: "), "{found:#?}");
    // Once it is good again, the new text counts.
    bed.write("broken.yaml", "new");
    assert_eq!(bed.scan().await, ["new=broken.yaml"]);
}

#[tokio::test]
async fn a_name_that_becomes_free_goes_to_the_file_that_waits_for_it() {
    let mut bed = Bed::new();
    bed.write("a.yaml", "same");
    bed.write("b.yaml", "same");
    assert_eq!(bed.scan().await, ["same=a.yaml", "!b.yaml: the name `same` is taken by the file a.yaml"]);
    fs::remove_file(bed.path().join("a.yaml")).unwrap();
    assert_eq!(bed.scan().await, ["same=b.yaml"]);
    // The owner takes another name: the one who waits has it, though it comes later in the alphabet or earlier.
    bed.write("a.yaml", "same");
    bed.write("c.yaml", "same");
    let taken = |file| format!("!{file}: the name `same` is taken by the file b.yaml");
    assert_eq!(bed.scan().await, ["same=b.yaml".to_owned(), taken("a.yaml"), taken("c.yaml")]);
    bed.write("b.yaml", "other");
    let expected = ["other=b.yaml", "same=a.yaml", "!c.yaml: the name `same` is taken by the file a.yaml"];
    assert_eq!(bed.scan().await, expected);
}

#[tokio::test]
async fn files_may_swap_their_names_and_leave_none_behind() {
    let mut bed = Bed::new();
    bed.write("a.yaml", "one");
    bed.write("b.yaml", "second");
    assert_eq!(bed.scan().await, ["one=a.yaml", "second=b.yaml"]);
    bed.write("a.yaml", "second");
    bed.write("b.yaml", "one");
    assert_eq!(bed.scan().await, ["one=b.yaml", "second=a.yaml"]);
    // A file that waits for a name keeps its last good one, and takes it along when it goes.
    bed.write("b.yaml", "second");
    assert_eq!(bed.scan().await[..2], ["one=b.yaml", "second=a.yaml"]);
    fs::remove_file(bed.path().join("b.yaml")).unwrap();
    assert_eq!(bed.scan().await, ["second=a.yaml"]);
    fs::rename(bed.path().join("a.yaml"), bed.path().join("z.yaml")).unwrap();
    assert_eq!(bed.scan().await, ["second=z.yaml"]);
}

#[tokio::test]
async fn what_is_no_file_is_told_and_not_waited_for() {
    let mut bed = Bed::new();
    bed.write("good.yaml", "good");
    fs::create_dir(bed.path().join("directory.yaml")).unwrap();
    let fifo = bed.path().join("fifo.yaml");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    symlink("loop.yaml", bed.path().join("loop.yaml")).unwrap();
    symlink("/dev/zero", bed.path().join("zero.yaml")).unwrap();
    let found = bed.scan().await;
    assert_eq!(found.len(), 5, "{found:#?}");
    assert_eq!(found[0], "good=good.yaml");
    assert_eq!(found[1], "!directory.yaml: the file cannot be read: not a regular file");
    assert!(found[3].starts_with("!loop.yaml: the file cannot be read: "), "{found:#?}");
    // A file that turns into something else keeps its last good text, as one with errors does.
    fs::remove_file(bed.path().join("good.yaml")).unwrap();
    fs::create_dir(bed.path().join("good.yaml")).unwrap();
    assert_eq!(bed.scan().await[0], "good=good.yaml");
    fs::remove_dir(bed.path().join("good.yaml")).unwrap();
    assert_eq!(bed.scan().await[0], found[1]);
}

#[tokio::test]
async fn files_beyond_the_bound_are_told() {
    let mut bed = Bed::new();
    for count in 1..=12 {
        bed.write(&format!("{count:02}.yaml"), &format!("w{count}"));
        let found = bed.scan().await;
        assert_eq!(found.len(), count.min(10) + usize::from(count > 10), "{found:#?}");
    }
    let told = bed.scan().await.pop().unwrap();
    assert!(told.starts_with("!.: 2 files are left out: more than 10 (workflows_max)"), "{told}");
    fs::remove_file(bed.path().join("01.yaml")).unwrap();
    fs::remove_file(bed.path().join("02.yaml")).unwrap();
    let found = bed.scan().await;
    assert_eq!((found.len(), found.iter().any(|line| line.starts_with('!'))), (10, false), "{found:#?}");
}

#[tokio::test]
async fn the_bytes_of_all_files_are_bounded() {
    let mut bed = Bed::new();
    bed.write("a.yaml", "a");
    bed.write("b.yaml", "b");
    let size = fs::metadata(bed.path().join("a.yaml")).unwrap().len();
    for (bytes_max, known) in [(2 * size - 1, 1), (2 * size, 2), (2 * size + 1, 2), (size - 1, 0)] {
        bed.directory.bytes_max = bytes_max;
        let found = bed.scan().await;
        let told = found.iter().any(|line| line.starts_with('!'));
        assert_eq!((found.len() - usize::from(told), told), (known, known < 2), "{bytes_max}: {found:#?}");
    }
    // What was left out is known again when there is room.
    bed.directory.bytes_max = 2 * size;
    assert_eq!(bed.scan().await.len(), 2);
}

/// Waits until exactly this is known.
async fn until(catalog: &Catalog, wanted: &[&str]) {
    let wait = async {
        while known(catalog) != wanted {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(SOON, wait).await.is_err() {
        panic!("wanted {wanted:?}, known {:?}", known(catalog));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_moved_removed_or_made_anew_is_followed_again() {
    let bed = Bed::new();
    let (path, catalog) = (bed.path(), Arc::clone(&bed.catalog));
    bed.write("a.yaml", "first");
    let token = CancellationToken::new();
    let store: Arc<dyn Store> = Arc::<Sqlite>::clone(&bed.store);
    let following = bed.directory.follow(Arc::clone(&catalog), store, token.clone());
    let changes = async {
        until(&catalog, &["first=a.yaml"]).await;
        fs::remove_dir_all(&path).unwrap();
        let away = "!.: the workflows directory cannot be read: No such file or directory (os error 2)";
        until(&catalog, &["first=a.yaml", away]).await;
        fs::create_dir(&path).unwrap();
        until(&catalog, &[]).await;
        write(&path.join("b.yaml"), "later");
        until(&catalog, &["later=b.yaml"]).await;
        // Moved away, and another put in its place at once.
        let other = path.with_extension("other");
        fs::create_dir(&other).unwrap();
        write(&other.join("c.yaml"), "another");
        fs::rename(&path, path.with_extension("old")).unwrap();
        fs::rename(&other, &path).unwrap();
        until(&catalog, &["another=c.yaml"]).await;
        fs::remove_file(path.join("c.yaml")).unwrap();
        until(&catalog, &[]).await;
        token.cancel();
    };
    tokio::join!(following, changes);
}

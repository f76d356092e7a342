//! Small files of every kind, to begin with.

use super::{mark_boot, pack};
use crate::simulation::ops::Setup;
use crate::storage::sim::SimDisk;
use crate::{Database, Durability, RawTableMut, Result};

/// What is done to a new database, and by which name it goes.
type Filling = (&'static str, u32, fn(&Database) -> Result<()>);

/// Packed files and their names: each as a process leaves it that is killed, and closed in order.
///
/// # Errors
/// None, if the engine works.
pub fn seeds() -> Result<Vec<(String, Vec<u8>)>> {
    let fillings: [Filling; 7] = [
        ("empty", 4096, |_| Ok(())),
        ("few", 4096, |db| fill(db, "few", 5, 10)),
        ("leaves", 4096, |db| fill(db, "leaves", 300, 30)),
        ("deep", 4096, deep),
        ("values", 4096, |db| fill(db, "values", 6, 3_000)),
        ("large-pages", 8192, |db| fill(db, "large", 200, 60)),
        ("aged", 4096, aged),
    ];
    let mut seeds = Vec::new();
    for (name, page_size, filling) in fillings {
        let disk = SimDisk::new()?;
        let db = Database::over(&Setup { page_size, ..Setup::PLAIN }.options(), disk.storage()?)?;
        filling(&db)?;
        seeds.push((format!("{name}-open"), packed(&disk)?));
        db.close()?;
        seeds.push((name.to_owned(), packed(&disk)?));
    }
    Ok(seeds)
}

fn packed(disk: &SimDisk) -> Result<Vec<u8>> {
    let mut file = disk.content()?;
    mark_boot(&mut file);
    Ok(pack(&file))
}

fn change(db: &Database, table: &str, change: impl Fn(&mut RawTableMut<'_>) -> Result<()>) -> Result<()> {
    let mut tx = db.begin_write()?;
    change(&mut tx.create_raw(table, "&str", "[u8]")?)?;
    tx.set_durability(Durability::Buffered);
    tx.commit().map(|_| ())
}

fn fill(db: &Database, table: &str, count: usize, len: usize) -> Result<()> {
    change(db, table, |table| {
        (0..count).try_for_each(|i| {
            let value = vec![u8::try_from(i % 251).unwrap_or(0); len + i % 7];
            table.insert(format!("key/{i:05}").as_bytes(), &value).map(|_| ())
        })
    })
}

/// Long keys, so that a few entries make a tree of several levels.
fn deep(db: &Database) -> Result<()> {
    change(db, "deep", |table| {
        (0..24u8).try_for_each(|i| {
            let mut key = vec![b'k'; 1900];
            key[0] = i;
            key[1899] = i;
            table.insert(&key, b"value").map(|_| ())
        })
    })
}

/// Several tables, and a log of free space with free and pending pages.
fn aged(db: &Database) -> Result<()> {
    for round in 0..6usize {
        fill(db, "first", 120, 20 + round)?;
        fill(db, &format!("table {round}"), 3, 2500)?;
        db.sync()?;
        change(db, "first", |table| table.remove(format!("key/{:05}", round * 9).as_bytes()).map(|_| ()))?;
    }
    db.write(|tx| tx.drop_table("table 2").map(|_| ()))?;
    fill(db, "table 4", 2, 2500)
}

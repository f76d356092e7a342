//! Writes inputs to begin with into `fuzz/corpus`: small files of every kind, and what the tests keep.

use std::path::Path;
use std::{error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = here.join("corpus");
    fs::create_dir_all(corpus.join("file"))?;
    for (name, file) in folio::fuzzing::seeds()? {
        fs::write(corpus.join("file").join(name), file)?;
    }
    for target in fs::read_dir(here.join("../tests/data/fuzz"))? {
        let target = target?;
        let folder = corpus.join(target.file_name());
        fs::create_dir_all(&folder)?;
        for input in fs::read_dir(target.path())? {
            let input = input?;
            fs::copy(input.path(), folder.join(input.file_name()))?;
        }
    }
    Ok(())
}

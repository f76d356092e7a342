//! Goal: `map` shows every page of a file once, as letters, as coloured blocks and as pictures, and each of
//! them says the same as `stat`.
//! Method: count letters, pixels and areas of known files; a pseudo terminal for colours. Pictures are read
//! by the libraries that read them elsewhere.

use std::collections::HashMap;
use std::fs;

use serde_json::Value;

use crate::Place;
use crate::terminal::OnTerminal;
use crate::watch::open;

/// Four tables, a value outside its leaf, free and pending pages, and fewer pages than a picture has cells.
fn place() -> Place {
    let place = Place::new();
    for (table, entries) in [("a", 400), ("b", 300), ("c", 200)] {
        let lines: String = (0..entries).map(|n| format!("{n:05}\t{}\n", "x".repeat(200))).collect();
        place.run_with(&["load", "x.folio", table], lines.as_bytes()).succeeds();
    }
    place.run_with(&["put", "x.folio", "long", "key"], &[b'x'; 30_000]).succeeds();
    place.run(&["del", "x.folio", "b", "--from", "00100"]).succeeds();
    place
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_slice(&place.run(arguments).succeeds().out).unwrap()
}

/// The pages of each class in the order of the legend, by letter.
fn legend(text: &str) -> Vec<(char, String, u64)> {
    let lines = text.split("\n\n").last().unwrap().lines().skip(1);
    lines
        .take_while(|line| line.ends_with('%'))
        .map(|line| {
            let (letter, rest) = (line.chars().next().unwrap(), &line[3..]);
            let (name, numbers) = rest.split_once("  ").unwrap();
            let pages = numbers.split_whitespace().next().unwrap().replace(',', "");
            (letter, name.to_owned(), pages.parse().unwrap())
        })
        .collect()
}

fn cells(text: &str) -> String {
    text.split("\n\n").nth(1).unwrap().lines().map(|line| &line[10..]).collect()
}

#[test]
fn a_letter_stands_for_each_page_of_a_small_file() {
    let place = Place::with_words();
    let text = place.run(&["map", "words.folio"]).succeeds().text();
    let [title, map, legend] = text.split("\n\n").collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(
        title.starts_with("folio map words.folio\n34 pages of 4 KiB: 136 KiB, transaction 2\n"),
        "{text}"
    );
    assert!(title.ends_with("one cell is one page"), "{text}");
    assert!(map.starts_with("      0 B #") && map.len() == 10 + 34, "{text}");
    let lines: Vec<Vec<&str>> = legend.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["kind", "pages", "share"]);
    assert_eq!(lines[1], ["l", "leaf", "2", "5.9", "%"]);
    assert_eq!(lines[2], [".", "free", "28", "82.4", "%"]);
    assert_eq!(lines[3][..5], ["#", "header,", "free-space", "log", "4"]);
}

#[test]
fn letters_legend_and_stat_agree_whatever_the_colours_mean() {
    let place = place();
    let db = open(&place, "x.folio");
    let _old = db.begin_read().unwrap();
    place.run(&["del", "x.folio", "a", "--from", "00200"]).succeeds();
    let stat = json(&place, &["stat", "x.folio", "--json"]);
    let of = |name: &str| stat[name].as_u64().unwrap();
    assert!(of("pending_pages") > 0 && of("free_pages") > 0 && of("overflow_pages") > 0, "{stat}");
    for by in ["kind", "table", "fill", "age"] {
        let text = place.run(&["map", "x.folio", "--by", by]).succeeds().text();
        assert!(text.contains("one cell is one page\n"), "{text}");
        let mut letters: HashMap<char, u64> = HashMap::new();
        cells(&text).chars().for_each(|letter| *letters.entry(letter).or_default() += 1);
        let legend = legend(&text);
        let listed: HashMap<char, u64> = legend.iter().map(|(letter, _, pages)| (*letter, *pages)).collect();
        assert_eq!(letters, listed, "{text}");
        assert_eq!(letters.values().sum::<u64>(), of("pages"));
        let count = |letter| letters.get(&letter).copied().unwrap_or(0);
        assert_eq!([count('.'), count('p')], [of("free_pages"), of("pending_pages")], "{text}");
        assert_eq!(count('#'), of("header_pages") + of("free_space_pages"), "{text}");
        let trees = of("leaf_pages") + of("branch_pages") + of("overflow_pages");
        match by {
            "kind" => {
                let kinds = ["leaf_pages", "branch_pages", "overflow_pages"].map(of);
                assert_eq!(['l', 'B', 'o'].map(count), kinds, "{text}");
            }
            "table" => {
                for table in stat["tables"].as_array().unwrap() {
                    let pages = ["leaf_pages", "branch_pages", "overflow_pages"];
                    let pages: u64 = pages.iter().map(|name| table[name].as_u64().unwrap()).sum();
                    let shown = legend.iter().find(|(_, name, _)| name == table["name"].as_str().unwrap());
                    assert_eq!(shown.map(|class| class.2), Some(pages), "{text}");
                }
            }
            _ => assert_eq!(('0'..='9').map(count).sum::<u64>(), trees, "{text}"),
        }
    }
}

#[test]
fn more_pages_than_cells_share_them() {
    let place = Place::new();
    let lines: String = (0..60_000).map(|n| format!("{n:05}\t{}\n", "x".repeat(200))).collect();
    place.run_with(&["load", "x.folio", "t"], lines.as_bytes()).succeeds();
    let pages = json(&place, &["stat", "x.folio", "--json"])["pages"].as_u64().unwrap();
    let text = place.run(&["map", "x.folio"]).succeeds().text();
    assert!(text.contains("one cell is 2 pages (8 KiB) and shows what most of them are\n"), "{text}");
    assert_eq!(cells(&text).len() as u64, pages.div_ceil(2));
    let text = place.run(&["map", "x.folio", "--by", "fill"]).succeeds().text();
    assert!(text.contains("one cell is 2 pages (8 KiB) and shows their mean\n"), "{text}");
}

/// The colours that the help names by their class: as they are in pictures.
const LEAF: [u8; 3] = [0x56, 0xB4, 0xE9];
const OVERFLOW: [u8; 3] = [0xE6, 0x9F, 0x00];

#[test]
fn the_pixels_of_a_picture_are_the_pages() {
    let place = place();
    place.run(&["map", "x.folio", "-o", "x.png"]).prints("");
    let file = std::io::Cursor::new(fs::read(place.path("x.png")).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    let stat = json(&place, &["stat", "x.folio", "--json"]);
    for (name, colour) in [("leaf_pages", LEAF), ("overflow_pages", OVERFLOW)] {
        let found = pixels.as_chunks::<3>().0.iter().filter(|pixel| **pixel == colour).count();
        // Cells of 16 by 16 pixels with a gap of one, and the sample in the legend.
        let pages = usize::try_from(stat[name].as_u64().unwrap()).unwrap();
        assert_eq!(found, pages * 15 * 15 + 16 * 16, "{name}");
    }
}

#[test]
fn the_areas_of_a_drawing_are_the_pages_and_names_are_only_text() {
    let place = place();
    let name = "<&>\"\u{1b}]0;x\u{7}\u{e9}";
    let db = open(&place, "x.folio");
    let tx = db.begin_write().unwrap();
    tx.create_raw(name, "bytes", "bytes").unwrap().insert(b"key", b"value").unwrap();
    tx.commit().unwrap();
    let stat = json(&place, &["stat", "x.folio", "--json"]);
    place.run(&["map", "x.folio", "-o", "x.SVG"]).prints("");
    let text = fs::read_to_string(place.path("x.SVG")).unwrap();
    let drawing = roxmltree::Document::parse(&text).unwrap();
    let area = |colour: &str| -> u64 {
        let paths = drawing.descendants().filter(|node| node.attribute("fill") == Some(colour));
        let rectangles = paths.flat_map(|path| path.attribute("d").unwrap().split('M').skip(1));
        let side = |text: &str, before: char| -> u64 {
            text.split(before).nth(1).unwrap().split(['h', 'v', 'z', '-']).next().unwrap().parse().unwrap()
        };
        rectangles.map(|text| side(text, 'h') * side(text, 'v')).sum()
    };
    assert_eq!(area("#56b4e9"), (stat["leaf_pages"].as_u64().unwrap() + 1) * 256);
    assert_eq!(area("#e69f00"), (stat["overflow_pages"].as_u64().unwrap() + 1) * 256);
    place.run(&["map", "x.folio", "-o", "x.svg", "--by", "table"]).prints("");
    let text = fs::read_to_string(place.path("x.svg")).unwrap();
    let drawing = roxmltree::Document::parse(&text).unwrap();
    let shown = drawing.descendants().filter_map(|node| node.text());
    let escaped = "<&>\"\\x1B]0;x\\x07\u{e9}";
    assert!(shown.clone().any(|text| text == escaped), "{:?}", shown.collect::<Vec<_>>());
    // In a picture and in letters, too.
    place.run(&["map", "x.folio", "-o", "x.png", "--by", "table"]).prints("");
    let text = place.run(&["map", "x.folio", "--by", "table"]).succeeds().text();
    assert!(text.contains(escaped) && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_terminal_shows_the_colours_and_not_with_no_color() {
    let place = place();
    for (variables, colour) in [
        (&[][..], Some(vt100::Color::Rgb(LEAF[0], LEAF[1], LEAF[2]))),
        (&[("COLORTERM", "")], Some(vt100::Color::Idx(74))),
        (&[("NO_COLOR", "1")], None),
        (&[("TERM", "dumb")], None),
    ] {
        let map = OnTerminal::start(&place, &["map", "x.folio"], variables);
        let (status, screen, cells) = map.ends_with_cells();
        assert_eq!(status.code(), Some(0));
        assert!(screen.contains("leaf") && screen.ends_with("<end>"), "{screen}");
        let of = |cell: &(vt100::Color, vt100::Color)| [cell.0, cell.1];
        let used: Vec<_> = cells.iter().flat_map(of).filter(|c| *c != vt100::Color::Default).collect();
        match colour {
            Some(colour) => assert!(used.contains(&colour), "{variables:?}: {used:?}"),
            None => assert!(used.is_empty() && screen.contains("#lll"), "{screen}"),
        }
    }
}

#[test]
fn a_damaged_page_is_shown_with_the_others() {
    let place = place();
    let path = place.path("x.folio");
    let mut bytes = fs::read(&path).unwrap();
    let needle = b"00017";
    let at = bytes.windows(needle.len()).rposition(|window| window[2..] == needle[2..]).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    for by in ["kind", "table", "fill", "age"] {
        let text = place.run(&["map", "x.folio", "--by", by]).succeeds().text();
        assert!(cells(&text).contains('!') && text.contains("damaged"), "{text}");
        assert!(text.ends_with(": folio check says more\n"), "{text}");
    }
    place.run(&["map", "x.folio", "-o", "x.png"]).prints("");
}

#[test]
fn what_cannot_be_written_is_an_error_and_the_database_is_never_written_over() {
    let place = Place::with_words();
    place.run(&["map", "words.folio", "-o", "x.gif"]).fails(2, &["x.gif", ".png or .svg"]);
    place.run(&["map", "words.folio", "-o", "png"]).fails(2, &[".png or .svg"]);
    place.run(&["map", "words.folio", "-o", "no/x.png"]).fails(1, &["no/x.png"]);
    place.run(&["map", "no.folio"]).fails(1, &["no.folio", "does not exist"]);
    place.run(&["map", "words.tsv"]).fails(1, &["words.tsv"]);
    fs::hard_link(place.path("words.folio"), place.path("words.png")).unwrap();
    place.run(&["map", "words.folio", "-o", "words.png"]).fails(2, &["words.png", "the database itself"]);
    place.run(&["check", "words.folio"]).succeeds();
}

#[test]
fn an_empty_database_has_a_map() {
    let place = Place::with_types("str", "u64");
    for by in ["kind", "table", "fill", "age"] {
        let text = place.run(&["map", "x.folio", "--by", by]).succeeds().text();
        assert!(!text.contains("NaN") && cells(&text).starts_with('#'), "{text}");
        place.run(&["map", "x.folio", "--by", by, "-o", "x.png"]).prints("");
    }
}

#[test]
fn a_picture_is_there_as_a_whole_or_not_at_all() {
    let place = Place::with_words();
    place.write("x.png", b"precious");
    // Enough for the lock file.
    let run = place.shell("trap '' XFSZ; ulimit -f 16; exec folio map words.folio -o x.png");
    run.fails(1, &["x.png", "File too large"]);
    assert_eq!(fs::read(place.path("x.png")).unwrap(), b"precious");
    let names = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["words.folio", "words.folio-lock", "words.tsv", "x.png"], "nothing else is left");
    // The name stays a link, and what it leads to is replaced.
    std::os::unix::fs::symlink("x.png", place.path("link.png")).unwrap();
    place.run(&["map", "words.folio", "-o", "link.png"]).prints("");
    assert!(fs::symlink_metadata(place.path("link.png")).unwrap().is_symlink());
    assert!(fs::read(place.path("x.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_picture_replaces_no_other_database_and_nothing_that_is_no_file() {
    let place = Place::with_words();
    place.run_with(&["load", "other.png", "t"], b"a\t1\n").succeeds();
    place.run(&["map", "words.folio", "-o", "other.png"]).fails(2, &["other.png", "a Folio database"]);
    place.run(&["dump", "other.png", "t"]).prints("a\t1\n");
    fs::create_dir(place.path("folder.png")).unwrap();
    place.run(&["map", "words.folio", "-o", "folder.png"]).fails(2, &["folder.png", "no file"]);
}

//! Lines of SVG.

use std::fmt::Write;

use crate::map::picture::{Area, Canvas, INK, Style};
use crate::map::scheme::Colour;

/// A drawing in memory. What has one colour in one layer is one path: half the size of a rectangle each.
#[derive(Debug)]
pub(super) struct Drawing {
    out: String,
    paths: Vec<(Colour, String)>,
}

impl Drawing {
    pub(super) fn new((width, height): (u32, u32)) -> Drawing {
        let out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Noto Sans Mono,DejaVu Sans Mono,monospace\" \
             font-size=\"12\" fill=\"{}\" shape-rendering=\"crispEdges\">\n",
            hex(INK)
        );
        Drawing { out, paths: Vec::new() }
    }

    /// The file's bytes.
    pub(super) fn encode(mut self) -> Vec<u8> {
        self.layer();
        self.out.push_str("</svg>\n");
        self.out.into_bytes()
    }
}

impl Canvas for Drawing {
    fn rectangle(&mut self, Area { x, y, width, height }: Area, colour: Colour) {
        let known = self.paths.iter().position(|(other, _)| *other == colour);
        let place = known.unwrap_or_else(|| {
            self.paths.push((colour, String::new()));
            self.paths.len() - 1
        });
        // Writing to a string does not fail.
        let _ = write!(self.paths[place].1, "M{x} {y}h{width}v{height}h-{width}z");
    }

    fn layer(&mut self) {
        for (colour, path) in self.paths.drain(..) {
            let _ = writeln!(self.out, "<path fill=\"{}\" d=\"{path}\"/>", hex(colour));
        }
    }

    fn text(&mut self, x: u32, y: u32, text: &str, style: Style) {
        let attribute = match style {
            Style::Left => "",
            Style::Right => " text-anchor=\"end\"",
            Style::Bold => " font-weight=\"bold\"",
        };
        // `y` is where the letters begin, here it is the line that they stand on.
        let _ = writeln!(self.out, "<text x=\"{x}\" y=\"{}\"{attribute}>{}</text>", y + 12, escaped(text));
    }
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// As XML wants it, without what it cannot hold: somebody chose these names.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() || matches!(letter, '\u{FFFE}' | '\u{FFFF}') => out.push('?'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_their_element() {
        assert_eq!(escaped("a<b>&\"c\u{1b}\u{FFFE}\u{e9}"), "a&lt;b&gt;&amp;&quot;c??\u{e9}");
    }
}

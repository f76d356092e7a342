//! What `folio top` draws.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use folio::Reader;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::{bar, shade};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Cell, Paragraph, Row, Sparkline, Table};

use crate::output::{self, bytes, grouped, percent};
use crate::readers;
use crate::top::sample::{History, Sample};
use crate::top::text;

/// Lines of a panel: two of frame, and three of history.
const PANEL: u16 = 5;

/// How the parts of the file look: in use, free, pending. The shades tell them apart without colours.
const PARTS: [(&str, Color); 3] =
    [(shade::FULL, Color::Blue), (shade::LIGHT, Color::Gray), (shade::MEDIUM, Color::Yellow)];

/// What does not change from one look to the next.
#[derive(Debug)]
pub(super) struct View {
    path: String,
    interval: Duration,
    colours: bool,
    /// The first reader that is shown.
    first: usize,
}

impl View {
    pub(super) fn new(path: &Path, interval: Duration) -> View {
        let path = output::name(&path.to_string_lossy());
        View { path, interval, colours: output::has_colours(), first: 0 }
    }

    /// Moves through the readers.
    pub(super) fn scroll(&mut self, down: bool) {
        self.first = if down { self.first.saturating_add(1) } else { self.first.saturating_sub(1) };
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, sample: &Sample, history: &History) {
        let area = frame.area();
        // What is least important goes first where there is no room.
        let panels = if area.height >= 20 { 2 * PANEL } else { PANEL };
        let heights = [1, panels, 3].map(Constraint::Length);
        let [title, panels, space, readers] =
            Layout::vertical(heights.into_iter().chain([Constraint::Min(0)])).areas(area);
        self.title(frame, title);
        let rows = Layout::vertical([Constraint::Length(PANEL), Constraint::Length(PANEL)]);
        let [top, bottom] = rows.areas(panels);
        let halves = Layout::horizontal([Constraint::Ratio(1, 2), Constraint::Ratio(1, 2)]);
        let [commits, lag] = halves.areas(top);
        let [growth, pending] = halves.areas(bottom);
        let usage = &sample.usage;
        self.panel(frame, commits, "commits", text::commits(sample), &history.commits, Color::Green);
        let behind = format!("{} of {}", grouped(sample.lag()), grouped(usage.txn));
        self.panel(frame, lag, "not durable", behind, &history.lag, Color::Magenta);
        let size = format!("{}, {}", bytes(usage.file_bytes), text::growth(sample));
        self.panel(frame, growth, "file", size, &history.growth, Color::Cyan);
        let held = bytes(sample.bytes(usage.pending_pages));
        self.panel(frame, pending, "pending", held, &history.pending, Color::Yellow);
        self.space(frame, space, sample);
        self.readers(frame, readers, &usage.readers);
    }

    fn style(&self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn title(&self, frame: &mut Frame<'_>, area: Rect) {
        let keys = format!("every {} s, q ends ", self.interval.as_secs_f64());
        let width = u16::try_from(keys.len()).unwrap_or(0);
        let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(width)]).areas(area);
        let name = Span::styled(" folio top ", Style::new().add_modifier(Modifier::BOLD));
        frame.render_widget(Line::from(vec![name, Span::raw(self.path.as_str())]), left);
        frame.render_widget(Paragraph::new(keys).alignment(Alignment::Right), right);
    }

    fn block(&self, title: Line<'static>) -> Block<'static> {
        Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.style(Color::DarkGray))
            .title(title)
    }

    /// A figure and how it was before, the newest to the right.
    fn panel(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        name: &'static str,
        value: String,
        history: &VecDeque<u64>,
        colour: Color,
    ) {
        let bold = self.style(colour).add_modifier(Modifier::BOLD);
        let title = vec![Span::raw(format!(" {name} ")), Span::styled(value, bold), Span::raw(" ")];
        let block = self.block(Line::from(title));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let shown: Vec<u64> = history.iter().take(usize::from(inner.width)).rev().copied().collect();
        // The newest keeps to the right edge.
        let width = u16::try_from(shown.len()).unwrap_or(inner.width);
        let right = Rect { x: inner.x + inner.width - width, width, ..inner };
        let line = Sparkline::default().data(shown).bar_set(bar::NINE_LEVELS).style(self.style(colour));
        frame.render_widget(line, right);
    }

    /// A bar of the whole file, and what its parts are.
    fn space(&self, frame: &mut Frame<'_>, area: Rect, sample: &Sample) {
        let parts = text::space(sample);
        let width = usize::from(area.width.saturating_sub(2));
        let (mut bar, mut legend) = (vec![Span::raw(" ")], vec![Span::raw(" ")]);
        let mut left = width;
        for ((name, size, share), (symbol, colour)) in parts.into_iter().zip(PARTS) {
            let cells = cells(share, width).min(left);
            left -= cells;
            bar.push(Span::styled(symbol.repeat(cells), self.style(colour)));
            legend.push(Span::styled(symbol.repeat(2), self.style(colour)));
            legend.push(Span::raw(format!(" {name} {} ({})   ", bytes(size), percent(share))));
        }
        frame.render_widget(Paragraph::new(vec![Line::from(bar), Line::from(legend)]), area);
    }

    fn readers(&mut self, frame: &mut Frame<'_>, area: Rect, readers: &[Reader]) {
        let count = output::plural(readers.len() as u64, "reader", "readers");
        let mut sorted: Vec<&Reader> = readers.iter().collect();
        sorted.sort_by_key(|reader| std::cmp::Reverse((reader.pinned_bytes, reader.age)));
        let room = usize::from(area.height.saturating_sub(3));
        self.first = self.first.min(sorted.len().saturating_sub(room));
        let shown = &sorted[self.first..];
        let mut title = format!(" {count} ");
        if sorted.len() > room {
            title.push_str(&format!("({} to {}) ", self.first + 1, self.first + room.min(shown.len())));
        }
        let cells = |cells: [String; 5]| {
            Row::new(cells.map(|text| Cell::from(Line::from(text).alignment(Alignment::Right))))
        };
        let head = cells(readers::HEAD.map(str::to_owned));
        let rows = shown.iter().take(room).map(|reader| {
            let style = if reader.pinned_bytes > 0 { self.style(Color::Yellow) } else { Style::new() };
            cells(readers::row(reader)).style(style)
        });
        let widths = [10, 10, 15, 13, 12].map(Constraint::Length);
        let table = Table::new(rows, widths)
            .header(head.style(Style::new().add_modifier(Modifier::BOLD)))
            .block(self.block(Line::from(title)));
        frame.render_widget(table, area);
    }
}

/// Cells of a bar for a share: something is never nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share from 0 to 1 of a terminal's width"
)]
fn cells(share: f64, width: usize) -> usize {
    let exact = share * width as f64;
    if exact > 0.0 { (exact.round() as usize).max(1) } else { 0 }
}

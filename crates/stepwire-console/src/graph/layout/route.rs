//! How the lines run, and how high everything is.

use super::super::text::fitting;
use super::net::{Course, LOOP, Line, Net, What};
use super::{Chip, Label, Part, Piece, Point, Rect, Route, chip_text, size};

/// Distance between the lines at a box.
const PORT: f32 = 16.0;
/// How far from the corners of a box lines keep.
const CORNER: f32 = 14.0;
/// How deep a line swings that turns upwards.
const SWING: f32 = 20.0;

/// The finished drawing of a state machine.
pub(super) fn part(net: &Net<'_>) -> Part {
    let bands = bands(net);
    let ports = ports(net);
    let mut part = Part::default();
    for state in 0..net.states {
        let point = &net.points[state];
        let w = point.w - 2.0 * inset(net, state);
        let y = bands[point.layer].0;
        part.boxes.push((net.id(state), Rect { x: point.x - w / 2.0, y, w, h: point.h }));
    }
    let pen = Pens { net, bands: &bands, ports: &ports };
    for (index, line) in net.lines.iter().enumerate() {
        let route = pen.route(index);
        match line.course {
            Course::Chip => part.chips.push(Chip {
                edge: line.edge,
                stem: route,
                place: pen.place(line.between[0]),
                text: chip_text(net.graph, line.edge),
            }),
            Course::Down | Course::Up | Course::Loop => part.routes.push((line.edge, route)),
        }
    }
    let right = net.points.iter().map(|point| point.x + point.w / 2.0);
    part.w = right.fold(0.0, f32::max);
    part.h = bands.last().map_or(0.0, |(_, bottom)| *bottom);
    if net
        .layers
        .last()
        .is_some_and(|layer| layer.iter().any(|p| net.points[*p].what == What::Turn))
    {
        part.h += SWING;
    }
    part
}

fn inset(net: &Net<'_>, state: usize) -> f32 {
    let has_loop = net.lines.iter().any(|line| line.course == Course::Loop && line.from == state);
    if has_loop { LOOP } else { 0.0 }
}

/// Top and bottom of each layer.
fn bands(net: &Net<'_>) -> Vec<(f32, f32)> {
    let mut bands: Vec<(f32, f32)> = Vec::with_capacity(net.layers.len());
    for (layer, points) in net.layers.iter().enumerate() {
        let height = points.iter().map(|point| net.points[*point].h).fold(0.0, f32::max);
        let top = match bands.last() {
            Some((_, bottom)) => bottom + gap(net, layer),
            None if points.iter().any(|point| net.points[*point].what == What::Turn) => SWING,
            None => 0.0,
        };
        bands.push((top, top + height));
    }
    bands
}

/// Room between a layer and the one before it: more where lines run far sideways.
fn gap(net: &Net<'_>, layer: usize) -> f32 {
    let mut far: f32 = 0.0;
    for point in &net.layers[layer] {
        for link in &net.up[*point] {
            far = far.max((net.points[*point].x - net.points[link.to].x).abs());
        }
    }
    let beside_words = [layer - 1, layer]
        .iter()
        .any(|layer| net.layers[*layer].iter().all(|point| net.points[*point].what != What::State));
    let least = if beside_words { 20.0 } else { 40.0 };
    least + (far * 0.05).min(24.0)
}

/// Where at a box each line begins and ends, from its centre.
struct Ports {
    from: Vec<f32>,
    to: Vec<f32>,
}

fn ports(net: &Net<'_>) -> Ports {
    let mut ports = Ports { from: vec![0.0; net.lines.len()], to: vec![0.0; net.lines.len()] };
    let mut leaving: Vec<Vec<(f32, usize)>> = vec![Vec::new(); net.states];
    let mut entering: Vec<Vec<(f32, usize)>> = vec![Vec::new(); net.states];
    for (index, line) in net.lines.iter().enumerate() {
        let x = |point: usize| net.points[point].x;
        if line.course == Course::Loop {
            continue;
        }
        let inner = match (line.course, line.between.as_slice()) {
            // Both ends of a line that goes up are at its long pieces, not where it turns.
            (Course::Up, [_, inner @ .., _]) => inner,
            (_, all) => all,
        };
        let first = inner.first().map_or_else(|| x(line.to), |point| x(*point));
        let last = inner.last().map_or_else(|| x(line.from), |point| x(*point));
        leaving[line.from].push((first, index));
        if line.course != Course::Chip {
            entering[line.to].push((last, index));
        }
    }
    for state in 0..net.states {
        let (x, w) = (net.points[state].x, net.points[state].w - 2.0 * inset(net, state));
        for (port, line) in spread(&mut leaving[state], x, w) {
            ports.from[line] = port;
        }
        for (port, line) in spread(&mut entering[state], x, w) {
            ports.to[line] = port;
        }
    }
    ports
}

/// The lines at one side of a box, side by side; one that comes straight keeps the centre.
fn spread(ends: &mut [(f32, usize)], x: f32, w: f32) -> Vec<(f32, usize)> {
    ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let count = ends.len();
    let room = (w - 2.0 * CORNER).max(0.0);
    let straight = ends.iter().position(|(end, _)| (end - x).abs() < 0.5);
    let steps = count.saturating_sub(1) as f32;
    let left = straight.map_or(steps / 2.0, |place| place as f32);
    let right = steps - left;
    let step = PORT.min(room / 2.0 / left.max(right).max(1.0));
    let place = |(place, (_, line)): (usize, &(f32, usize))| ((place as f32 - left) * step, *line);
    ends.iter().enumerate().map(place).collect()
}

struct Pens<'a> {
    net: &'a Net<'a>,
    bands: &'a [(f32, f32)],
    ports: &'a Ports,
}

impl Pens<'_> {
    fn route(&self, index: usize) -> Route {
        let line = &self.net.lines[index];
        let from = &self.net.points[line.from];
        let start =
            Point { x: from.x + self.ports.from[index], y: self.bands[from.layer].0 + from.h };
        match line.course {
            Course::Loop => self.around(line),
            Course::Chip => {
                let mut pen = Pen::at(start);
                pen.to(start.x, self.bands[from.layer].1);
                let place = self.place(line.between[0]);
                pen.to(place.x + place.w / 2.0, place.y);
                pen.route
            }
            Course::Down => {
                let mut pen = Pen::at(start);
                pen.to(start.x, self.bands[from.layer].1);
                for point in &line.between {
                    let (top, bottom) = self.bands[self.net.points[*point].layer];
                    let x = self.net.points[*point].x;
                    pen.to(x, top);
                    pen.to(x, bottom);
                }
                let end = self.arrival(index);
                pen.to(end.x, end.y);
                self.labelled(pen, line)
            }
            Course::Up => {
                let mut pen = Pen::at(start);
                pen.to(start.x, self.bands[from.layer].1);
                let inner = line.between.get(1..line.between.len() - 1).unwrap_or_default();
                for (nth, point) in inner.iter().enumerate() {
                    let (top, bottom) = self.bands[self.net.points[*point].layer];
                    let x = self.net.points[*point].x;
                    if nth == 0 {
                        pen.swing(x, bottom, SWING);
                    } else {
                        pen.to(x, bottom);
                    }
                    pen.to(x, top);
                }
                let end = self.arrival(index);
                pen.swing(end.x, end.y, -SWING);
                self.labelled(pen, line)
            }
        }
    }

    fn arrival(&self, index: usize) -> Point {
        let to = self.net.lines[index].to;
        let point = &self.net.points[to];
        Point { x: point.x + self.ports.to[index], y: self.bands[point.layer].0 }
    }

    /// A line from a state to itself, on its right side.
    fn around(&self, line: &Line) -> Route {
        let point = &self.net.points[line.from];
        let x = point.x + point.w / 2.0 - LOOP;
        let y = self.bands[point.layer].0;
        let (above, below) = (y + point.h * 0.3, y + point.h * 0.7);
        let start = Point { x, y: below };
        let far = x + LOOP * 1.2;
        let piece = Piece::Curve(
            Point { x: far, y: below },
            Point { x: far, y: above },
            Point { x, y: above },
        );
        Route { start, pieces: vec![piece], label: None }
    }

    fn labelled(&self, pen: Pen, line: &Line) -> Route {
        let mut route = pen.route;
        let at = line.between.iter().find(|point| self.net.points[**point].what == What::Label);
        if let (Some(at), Some(text)) = (at, &line.label) {
            let place = self.place(*at);
            let text = fitting(text, size::LABEL, place.w - 14.0);
            route.label = Some(Label { place, text });
        }
        route
    }

    /// Where the words at `point` stand.
    fn place(&self, point: usize) -> Rect {
        let Some(at) = self.net.points.get(point) else { return Rect::default() };
        let (top, bottom) = self.bands[at.layer];
        let y = if bottom - top > at.h { top } else { f32::midpoint(top, bottom) - at.h / 2.0 };
        Rect { x: at.x - at.w / 2.0, y, w: at.w, h: at.h }
    }
}

struct Pen {
    route: Route,
    at: Point,
}

impl Pen {
    fn at(start: Point) -> Pen {
        Pen { route: Route { start, ..Route::default() }, at: start }
    }

    /// On to a point, leaving and arriving upright.
    fn to(&mut self, x: f32, y: f32) {
        let to = Point { x, y };
        if (self.at.y - y).abs() < 0.05 && (self.at.x - x).abs() < 0.05 {
            return;
        }
        if (self.at.x - x).abs() < 0.5 {
            // One longer piece instead of two.
            let upright = |from: f32| (from - x).abs() < 0.05;
            let (before, at) = (self.route.pieces.len(), self.at);
            match self.route.pieces.last_mut() {
                Some(Piece::Line(last)) if upright(at.x) && before > 0 => *last = to,
                _ => self.route.pieces.push(Piece::Line(to)),
            }
        } else {
            let middle = f32::midpoint(self.at.y, y);
            let piece = Piece::Curve(Point { x: self.at.x, y: middle }, Point { x, y: middle }, to);
            self.route.pieces.push(piece);
        }
        self.at = to;
    }

    /// On to a point, there and back by `depth`.
    fn swing(&mut self, x: f32, y: f32, depth: f32) {
        let to = Point { x, y };
        let from = self.at;
        let far = if depth > 0.0 { from.y.max(y) } else { from.y.min(y) } + depth;
        let piece = Piece::Curve(Point { x: from.x, y: far }, Point { x, y: far }, to);
        self.route.pieces.push(piece);
        self.at = to;
    }
}

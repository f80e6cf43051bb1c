//! How far apart the points of a layer stand: the way through straight, the rest close to what it
//! is linked with, nothing over anything else.
//!
//! Points that are to stand exactly below one another form a column. First every point is drawn
//! towards its neighbours, layer by layer, as far as the order allows (least squares under an
//! order: isotonic regression); then the columns are set where their points want to be on average.

use super::net::{Net, What};

/// Times that all layers are gone through.
const SWEEPS: usize = 10;
/// Times that columns are moved to where they are drawn.
const SETTLES: usize = 6;

/// Gives every point its place from left to right; the leftmost edge is at 0.
pub(super) fn columns(net: &mut Net<'_>) {
    side_by_side(net);
    for sweep in 0..SWEEPS {
        let count = net.layers.len();
        for turn in 0..count {
            let downwards = sweep % 2 == 0;
            let layer = if downwards { turn } else { count - 1 - turn };
            pull(net, layer, downwards, sweep + 2 >= SWEEPS);
        }
    }
    let mut columns = Columns::of(net);
    columns.spread(net);
    for turn in 0..SETTLES {
        columns.settle(net, turn % 2 == 0);
    }
    for point in 0..net.points.len() {
        net.points[point].x = columns.x[columns.of_point[point]];
    }
    let left = net.points.iter().map(|point| point.x - point.w / 2.0).fold(f32::MAX, f32::min);
    for point in &mut net.points {
        point.x -= left;
    }
}

/// The least distance between the centres of two neighbours.
fn apart(net: &Net<'_>, left: usize, right: usize) -> f32 {
    let (a, b) = (&net.points[left], &net.points[right]);
    let gap = match (a.what, b.what) {
        (What::State, What::State) => 28.0,
        (What::Turn, _) | (_, What::Turn) => 2.0,
        (What::State, _) | (_, What::State) => 18.0,
        (What::Bend, What::Bend) => 14.0,
        _ => 10.0,
    };
    f32::midpoint(a.w, b.w) + gap
}

fn side_by_side(net: &mut Net<'_>) {
    for layer in 0..net.layers.len() {
        let mut x = 0.0;
        for place in 0..net.layers[layer].len() {
            let point = net.layers[layer][place];
            if place > 0 {
                x += apart(net, net.layers[layer][place - 1], point);
            }
            net.points[point].x = x;
        }
        // Around 0, so that layers begin centred.
        for place in 0..net.layers[layer].len() {
            let point = net.layers[layer][place];
            net.points[point].x -= x / 2.0;
        }
    }
}

/// Moves the points of a layer towards their neighbours above, below, or on both sides.
fn pull(net: &mut Net<'_>, layer: usize, downwards: bool, both: bool) {
    let points = std::mem::take(&mut net.layers[layer]);
    // Where each would stand if those left of it took no room, and how strongly it wants that.
    let mut offset = 0.0;
    let mut wanted = Vec::with_capacity(points.len());
    let mut offsets = Vec::with_capacity(points.len());
    for (place, point) in points.iter().enumerate() {
        if place > 0 {
            offset += apart(net, points[place - 1], *point);
        }
        offsets.push(offset);
        let above = net.up[*point].iter().filter(|_| downwards || both);
        let below = net.down[*point].iter().filter(|_| !downwards || both);
        let (mut sum, mut total) = (0.0, 0.0);
        for link in above.chain(below) {
            let weight = link.weight * (1.0 + f32::from(link.straight));
            sum += weight * net.points[link.to].x;
            total += weight;
        }
        net.work += 1;
        let x = if total > 0.0 { sum / total } else { net.points[*point].x };
        wanted.push((x - offset, if total > 0.0 { total } else { 0.1 }));
    }
    for (place, x) in isotonic(&wanted).into_iter().enumerate() {
        net.points[points[place]].x = x + offsets[place];
    }
    net.layers[layer] = points;
}

/// The values closest to those wanted that never fall: pool adjacent violators.
fn isotonic(wanted: &[(f32, f32)]) -> Vec<f32> {
    let mut pools: Vec<(f32, f32, usize)> = Vec::with_capacity(wanted.len());
    for (value, weight) in wanted {
        pools.push((*value, *weight, 1));
        while let [.., (before, heavy, many), (after, light, few)] = *pools.as_slice()
            && before > after
        {
            pools.truncate(pools.len() - 2);
            let total = heavy + light;
            pools.push(((before * heavy + after * light) / total, total, many + few));
        }
    }
    pools.iter().flat_map(|(value, _, count)| std::iter::repeat_n(*value, *count)).collect()
}

/// Points that stand exactly below one another.
struct Columns {
    /// The column of each point.
    of_point: Vec<usize>,
    points: Vec<Vec<usize>>,
    x: Vec<f32>,
    /// Columns that stand right of another, with the least distance; and left of it.
    right: Vec<Vec<(usize, f32)>>,
    left: Vec<Vec<(usize, f32)>>,
    /// All columns, each after those left of it.
    order: Vec<usize>,
}

impl Columns {
    fn of(net: &mut Net<'_>) -> Columns {
        let below = straight_links(net);
        let mut of_point = vec![usize::MAX; net.points.len()];
        let mut points = Vec::new();
        for layer in &net.layers {
            for point in layer {
                if of_point[*point] != usize::MAX {
                    continue;
                }
                let mut column = vec![*point];
                of_point[*point] = points.len();
                let mut at = *point;
                while let Some(next) = below[at] {
                    of_point[next] = points.len();
                    column.push(next);
                    at = next;
                }
                points.push(column);
            }
        }
        let mut columns = Columns {
            x: vec![0.0; points.len()],
            right: vec![Vec::new(); points.len()],
            left: vec![Vec::new(); points.len()],
            order: Vec::new(),
            of_point,
            points,
        };
        for layer in &net.layers {
            for pair in layer.windows(2) {
                let (a, b) = (columns.of_point[pair[0]], columns.of_point[pair[1]]);
                let gap = apart(net, pair[0], pair[1]);
                columns.right[a].push((b, gap));
                columns.left[b].push((a, gap));
            }
        }
        columns.order = columns.left_to_right();
        net.work += columns.points.len();
        columns
    }

    /// Straight links do not cross, so no column is both left and right of another.
    fn left_to_right(&self) -> Vec<usize> {
        let mut waits: Vec<usize> = self.left.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..waits.len()).filter(|column| waits[*column] == 0).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(column) = ready.pop() {
            order.push(column);
            for (right, _) in &self.right[column] {
                waits[*right] -= 1;
                if waits[*right] == 0 {
                    ready.push(*right);
                }
            }
        }
        assert_eq!(order.len(), waits.len(), "straight lines cross");
        order
    }

    /// Sets each column where its points are on average, and those beside it out of its way:
    /// halfway between moving only to the right and moving only to the left.
    fn spread(&mut self, net: &mut Net<'_>) {
        let wanted: Vec<f32> = self
            .points
            .iter()
            .map(|points| {
                let sum: f32 = points.iter().map(|point| net.points[*point].x).sum();
                sum / points.len() as f32
            })
            .collect();
        let mut from_left = wanted.clone();
        for column in &self.order {
            for (left, gap) in &self.left[*column] {
                from_left[*column] = from_left[*column].max(from_left[*left] + gap);
                net.work += 1;
            }
        }
        let mut from_right = wanted;
        for column in self.order.iter().rev() {
            for (right, gap) in &self.right[*column] {
                from_right[*column] = from_right[*column].min(from_right[*right] - gap);
                net.work += 1;
            }
        }
        for column in 0..self.x.len() {
            self.x[column] = f32::midpoint(from_left[column], from_right[column]);
        }
    }

    /// Moves each column to where its links draw it, as far as its neighbours let it.
    fn settle(&mut self, net: &mut Net<'_>, from_left: bool) {
        for index in 0..self.order.len() {
            let place = if from_left { index } else { self.order.len() - 1 - index };
            let column = self.order[place];
            let mut pulls: Vec<(f32, f32)> = Vec::new();
            for point in &self.points[column] {
                for link in net.up[*point].iter().chain(&net.down[*point]) {
                    let other = self.of_point[link.to];
                    if other != column {
                        pulls.push((self.x[other], link.weight));
                    }
                }
            }
            net.work += pulls.len() + 1;
            let Some(wanted) = middle(&mut pulls) else { continue };
            let least = self.left[column].iter().map(|(left, gap)| self.x[*left] + gap);
            let most = self.right[column].iter().map(|(right, gap)| self.x[*right] - gap);
            let (least, most) = (least.fold(f32::MIN, f32::max), most.fold(f32::MAX, f32::min));
            self.x[column] = wanted.min(most).max(least.min(most));
        }
    }
}

/// The weighted median; midway between two when both halves weigh the same.
fn middle(pulls: &mut [(f32, f32)]) -> Option<f32> {
    pulls.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f32 = pulls.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    for (index, (x, weight)) in pulls.iter().enumerate() {
        sum += weight;
        if sum * 2.0 > total + 0.001 {
            return Some(*x);
        }
        if sum * 2.0 > total - 0.001 {
            return Some(pulls.get(index + 1).map_or(*x, |next| f32::midpoint(*x, next.0)));
        }
    }
    None
}

/// The links that become straight: for each point the one below it. The stronger wish wins, and of
/// two links that cross only one is straight.
fn straight_links(net: &mut Net<'_>) -> Vec<Option<usize>> {
    let mut places = vec![0; net.points.len()];
    for layer in &net.layers {
        for (place, point) in layer.iter().enumerate() {
            places[*point] = place;
        }
    }
    let mut below = vec![None; net.points.len()];
    let mut above = vec![None; net.points.len()];
    for layer in &net.layers {
        let mut wishes: Vec<(u8, usize, usize)> = Vec::new();
        for point in layer {
            let straight = net.down[*point].iter().filter(|link| link.straight > 0);
            wishes.extend(straight.map(|link| (link.straight, *point, link.to)));
        }
        wishes.sort_by_key(|(straight, upper, _)| (std::cmp::Reverse(*straight), places[*upper]));
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (_, upper, lower) in wishes {
            let (from, to) = (places[upper], places[lower]);
            net.work += taken.len();
            let crossed = taken.iter().any(|(a, b)| (*a < from) != (*b < to));
            if crossed || below[upper].is_some() || above[lower].is_some() {
                continue;
            }
            taken.push((from, to));
            below[upper] = Some(lower);
            above[lower] = Some(upper);
        }
    }
    below
}

//! Who stands beside whom in a layer, so that few lines cross.

use super::net::Net;

/// Times that all layers are gone through.
const SWEEPS: usize = 8;

/// Puts the points of every layer in order.
///
/// Begins as the definition tells it, the first way of a Choice on the left, and leaves that only
/// for fewer crossings.
pub(super) fn arrange(net: &mut Net<'_>) {
    as_told(net);
    let mut places = vec![0; net.points.len()];
    number(net, &mut places);
    let mut best = net.layers.clone();
    let mut fewest = crossings(net, &places);
    let mut stale = 0;
    for sweep in 0..SWEEPS {
        if fewest == 0 || stale == 3 {
            break;
        }
        by_neighbours(net, &mut places, sweep % 2 == 0);
        swap_neighbours(net, &mut places);
        let now = crossings(net, &places);
        if now < fewest {
            fewest = now;
            best.clone_from(&net.layers);
            stale = 0;
        } else {
            stale += 1;
        }
    }
    net.layers = best;
}

/// Depth first from the beginning, as the definition writes the transitions.
fn as_told(net: &mut Net<'_>) {
    let mut layers = vec![Vec::new(); net.layers.len()];
    let mut seen = vec![false; net.points.len()];
    let first = net.first();
    for root in first.into_iter().chain(0..net.points.len()) {
        let mut stack = vec![root];
        while let Some(point) = stack.pop() {
            net.work += 1;
            if std::mem::replace(&mut seen[point], true) {
                continue;
            }
            layers[net.points[point].layer].push(point);
            let both = net.down[point].iter().chain(&net.up[point]);
            stack.extend(both.map(|link| link.to).filter(|to| !seen[*to]).rev());
        }
    }
    net.layers = layers;
}

fn number(net: &Net<'_>, places: &mut [usize]) {
    for layer in &net.layers {
        for (place, point) in layer.iter().enumerate() {
            places[*point] = place;
        }
    }
}

/// Sorts each layer by where the neighbours in the layer before it stand.
fn by_neighbours(net: &mut Net<'_>, places: &mut [usize], downwards: bool) {
    let count = net.layers.len();
    for turn in 1..count {
        let layer = if downwards { turn } else { count - 1 - turn };
        let mut keyed = Vec::with_capacity(net.layers[layer].len());
        for (place, point) in net.layers[layer].iter().enumerate() {
            let links = if downwards { &net.up[*point] } else { &net.down[*point] };
            let total: f32 = links.iter().map(|link| link.weight).sum();
            let sum: f32 = links.iter().map(|link| link.weight * places[link.to] as f32).sum();
            let key = if links.is_empty() { place as f32 } else { sum / total };
            keyed.push((key, place, *point));
        }
        net.work += keyed.len();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (place, (_, _, point)) in keyed.into_iter().enumerate() {
            net.layers[layer][place] = point;
            places[point] = place;
        }
    }
}

/// Exchanges neighbours while that saves crossings.
fn swap_neighbours(net: &mut Net<'_>, places: &mut [usize]) {
    for _ in 0..4 {
        let mut better = false;
        for layer in 0..net.layers.len() {
            for place in 1..net.layers[layer].len() {
                let (left, right) = (net.layers[layer][place - 1], net.layers[layer][place]);
                let (as_is, swapped) = crossings_of(net, places, left, right);
                if swapped < as_is {
                    net.layers[layer].swap(place - 1, place);
                    places[left] = place;
                    places[right] = place - 1;
                    better = true;
                }
            }
        }
        if !better {
            break;
        }
    }
}

/// Crossings between the lines of two neighbours: as they stand, and the other way round.
fn crossings_of(net: &mut Net<'_>, places: &[usize], left: usize, right: usize) -> (usize, usize) {
    let (mut as_is, mut swapped) = (0, 0);
    for links in [&net.up, &net.down] {
        for a in &links[left] {
            for b in &links[right] {
                net.work += 1;
                as_is += usize::from(places[a.to] > places[b.to]);
                swapped += usize::from(places[a.to] < places[b.to]);
            }
        }
    }
    (as_is, swapped)
}

/// All crossings, counted layer by layer with a tree of sums.
fn crossings(net: &mut Net<'_>, places: &[usize]) -> usize {
    let mut total = 0;
    let mut ends = Vec::new();
    for layer in 1..net.layers.len() {
        ends.clear();
        for point in &net.layers[layer - 1] {
            let from = ends.len();
            ends.extend(net.down[*point].iter().map(|link| places[link.to]));
            ends[from..].sort_unstable();
        }
        net.work += ends.len();
        let mut sums = vec![0_usize; net.layers[layer].len() + 1];
        for (before, end) in ends.iter().enumerate() {
            let mut not_right = 0;
            let mut at = end + 1;
            while at > 0 {
                not_right += sums[at];
                at &= at - 1;
            }
            total += before - not_right;
            let mut at = end + 1;
            while at < sums.len() {
                sums[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
    }
    total
}

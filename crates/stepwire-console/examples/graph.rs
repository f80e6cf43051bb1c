//! Draws definitions into a folder of SVG files and says how long the layout took.
//!
//! `cargo run --example graph -- FOLDER definition.json…`; a file with `cases` has many of them.

#![expect(clippy::print_stdout, reason = "prints its result")]
#![expect(clippy::disallowed_methods, reason = "reads the clock and files, unlike the crate")]

use std::time::Instant;

use stepwire_asl::Json;
use stepwire_console::graph::{Collapsed, Graph, Options, Paint, svg};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder, then definitions")?;
    std::fs::create_dir_all(&folder)?;
    let mut rows = Vec::new();
    for file in arguments {
        let json = Json::parse(&std::fs::read_to_string(&file)?)?;
        let cases = json.member("cases").and_then(Json::as_array).map(<[Json]>::to_vec);
        for case in cases.unwrap_or_else(|| vec![json.clone()]) {
            let definition = case.member("definition").cloned().unwrap_or_else(|| case.clone());
            let definition = match definition.as_str() {
                Some(text) => Json::parse(text)?,
                None => definition,
            };
            let name = case.member("id").and_then(Json::as_str).unwrap_or(&file).to_owned();
            let started = Instant::now();
            let graph = Graph::of(&definition);
            let layout = graph.layout(&Collapsed::new());
            let took = started.elapsed();
            let alone = Options {
                id_prefix: "",
                name: &name,
                links: None,
                toggles: None,
                standalone: true,
            };
            let text = svg(&graph, &layout, &Paint::default(), &alone).into_string();
            let path = format!("{folder}/{:03}.svg", rows.len());
            std::fs::write(&path, text)?;
            rows.push((graph.states(), took, layout.work, path, name));
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.0));
    for (states, took, work, path, name) in rows {
        println!("{states:5} states {took:>12.1?} {work:8} steps  {path}  {name}");
    }
    Ok(())
}

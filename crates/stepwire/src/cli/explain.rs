//! `stepwire explain`: what a code means.

use clap::Args;
use stepwire_asl::Topic;
use stepwire_asl::diagnostic::nearest;

use super::failure::{Exit, Failure};
use super::print;

/// Tells what a code such as `SW0203` means and what to do about it; without a code, lists them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stepwire explain SW0250
  stepwire explain | grep token")]
pub(super) struct Explain {
    /// The code
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

impl Explain {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let Some(code) = &self.code else {
            for topic in Topic::ALL {
                print(&format!("{}  {}", topic.number(), topic.title()));
            }
            return Ok(());
        };
        let found = Topic::ALL.into_iter().find(|topic| topic.number().eq_ignore_ascii_case(code));
        let Some(topic) = found else {
            let failure = Failure::new(Exit::NotFound, format!("there is no code `{code}`"));
            return Err(match nearest(code, Topic::ALL.map(Topic::number)) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("`stepwire explain` lists them"),
            });
        };
        print(&format!("{}: {}\n", topic.number(), topic.title()));
        let paragraphs = topic.explanation().split("\n\n").map(|text| wrapped(text, WIDTH));
        print(&paragraphs.collect::<Vec<_>>().join("\n\n"));
        Ok(())
    }
}

/// Columns of a line.
const WIDTH: usize = 80;

fn wrapped(text: &str, width: usize) -> String {
    let mut made = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            made.push('\n');
            column = 0;
        }
        if column > 0 {
            made.push(' ');
            column += 1;
        }
        made.push_str(word);
        column += length;
    }
    made
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
    }

    /// `UPDATE=1` writes the page.
    #[test]
    fn the_page_of_codes_is_the_catalogue() {
        let mut page =
            "# Codes\n\nWhat `stepwire check` reports; `stepwire explain CODE` prints the \
                        same. Errors are what Step Functions refuses too, from SW0250 on they are \
                        warnings. Made from the catalogue in `stepwire-asl`.\n"
                .to_owned();
        for topic in Topic::ALL {
            let text = topic.explanation();
            let paragraphs = text.split("\n\n").map(|text| wrapped(text, 112));
            let paragraphs = paragraphs.collect::<Vec<_>>().join("\n\n");
            let (number, title) = (topic.number(), topic.title());
            write!(page, "\n## {number}: {title}\n\n{paragraphs}\n").unwrap();
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/codes.md");
        if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
            std::fs::write(path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page, "UPDATE=1 writes it");
    }
}

//! What rules have done since the start, as numbers for Prometheus: AWS's metrics of the rules engine
//! (AWS IoT developer guide, "AWS IoT metrics and dimensions").

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use stepwire_core::effect::{Acted, Heard};

/// Rules that are counted by name; the others are counted together.
const RULES_MAX: usize = 1_000;
/// The name of the others; no rule can have it.
const OTHERS: &str = "(others)";

type Labels = Vec<(&'static str, String)>;
type Counts = Family<Labels, Counter>;

/// Counters of rules.
#[derive(Debug, Default)]
pub(crate) struct RuleCounters(Mutex<HashMap<Arc<str>, Counted>>);

/// What is counted of one rule.
#[derive(Debug, Default)]
struct Counted {
    matches: u64,
    parse_errors: u64,
    /// By the kind of action, and whether it was on an error.
    actions: BTreeMap<(&'static str, bool), Ends>,
}

#[derive(Debug, Default)]
struct Ends {
    succeeded: u64,
    failed: u64,
}

impl RuleCounters {
    pub(crate) fn heard(&self, heard: &Heard) {
        let mut rules = self.rules();
        for rule in &heard.rules {
            let counted = of(&mut rules, rule);
            counted.matches += 1;
            counted.parse_errors += u64::from(!heard.is_json);
        }
    }

    pub(crate) fn acted(&self, acted: &Acted) {
        let mut rules = self.rules();
        let actions = &mut of(&mut rules, &acted.rule).actions;
        let ends = actions.entry((acted.action, acted.on_error)).or_default();
        if acted.succeeded {
            ends.succeeded += 1;
        } else {
            ends.failed += 1;
        }
    }

    /// Messages on the topics of a rule, actions that succeeded and that failed; those on errors left
    /// out. Nothing for a rule that is counted with others.
    pub(crate) fn sums(&self, rule: &str) -> (u64, u64, u64) {
        let rules = self.rules();
        let Some(counted) = rules.get(rule) else { return (0, 0, 0) };
        let ends = counted.actions.iter().filter(|((_, on_error), _)| !on_error);
        let ends: Vec<_> = ends.map(|(_, ends)| (ends.succeeded, ends.failed)).collect();
        let succeeded = ends.iter().map(|(succeeded, _)| succeeded).sum();
        (counted.matches, succeeded, ends.iter().map(|(_, failed)| failed).sum())
    }

    /// A rule is gone, and so are its numbers.
    pub(crate) fn forget(&self, rule: &str) {
        self.rules().remove(rule);
    }

    /// Adds them to those of a page.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let [matches, parse_errors] = [Counts::default(), Counts::default()];
        let actions: [Counts; 4] = std::array::from_fn(|_| Counts::default());
        for (rule, counted) in self.rules().iter() {
            let labels = || vec![("rule", rule.to_string())];
            matches.get_or_create(&labels()).inc_by(counted.matches);
            if counted.parse_errors > 0 {
                parse_errors.get_or_create(&labels()).inc_by(counted.parse_errors);
            }
            for ((action, on_error), ends) in &counted.actions {
                let labels = vec![("rule", rule.to_string()), ("action", (*action).to_owned())];
                let at = usize::from(*on_error) * 2;
                for (at, number) in [(at, ends.succeeded), (at + 1, ends.failed)] {
                    if number > 0 {
                        actions[at].get_or_create(&labels).inc_by(number);
                    }
                }
            }
        }
        let help = "Messages on topics that a rule is for (AWS: TopicMatch)";
        registry.register("rule_topic_matches", help, matches);
        let help = "Messages among these that are not JSON (AWS: ParseError)";
        registry.register("rule_parse_errors", help, parse_errors);
        let names = [
            "action_successes",
            "action_failures",
            "error_action_successes",
            "error_action_failures",
        ];
        let aws = ["Success", "Failure", "ErrorActionSuccess", "ErrorActionFailure"];
        for ((name, aws), counts) in names.into_iter().zip(aws).zip(actions) {
            let help = format!("Actions of rules by how they ended (AWS: {aws})");
            registry.register(format!("rule_{name}"), help, counts);
        }
    }

    fn rules(&self) -> MutexGuard<'_, HashMap<Arc<str>, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of<'a>(rules: &'a mut HashMap<Arc<str>, Counted>, rule: &Arc<str>) -> &'a mut Counted {
    let known = rules.len() < RULES_MAX || rules.contains_key(rule);
    let name = if known { Arc::clone(rule) } else { OTHERS.into() };
    rules.entry(name).or_default()
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode_registry;

    use super::*;

    fn page(counters: &RuleCounters) -> String {
        let mut registry = Registry::default();
        counters.register(&mut registry);
        let mut page = String::new();
        encode_registry(&mut page, &registry).expect("it can be written");
        page
    }

    #[test]
    fn rules_beyond_the_bound_are_counted_together_and_gone_ones_make_room() {
        let counters = RuleCounters::default();
        let hear = |name: &str| counters.heard(&Heard { rules: vec![name.into()], is_json: true });
        for n in 0..RULES_MAX + 5 {
            hear(&format!("r{n}"));
        }
        let text = page(&counters);
        assert!(text.contains("rule_topic_matches_total{rule=\"(others)\"} 5\n"), "{text}");
        assert_eq!(text.matches("rule_topic_matches_total{").count(), RULES_MAX + 1);
        (0..2).for_each(|n| counters.forget(&format!("r{n}")));
        hear("late");
        assert_eq!(counters.sums("late"), (1, 0, 0));
        assert!(page(&counters).contains("rule_topic_matches_total{rule=\"late\"} 1\n"));
    }
}

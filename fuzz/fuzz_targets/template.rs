//! A CloudFormation template: read, expanded, compared with itself and worked out.
//!
//! What is refused must say so in words. What is expanded has an order with every resource in it,
//! and survives being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stepwire_asl::Json;
use stepwire_cloudformation::{Artifacts, Given, Resource, Scope, Template, compare, resolve};

struct All;

impl Scope for All {
    fn reference(&self, logical_id: &str) -> Option<Json> {
        Some(Json::from(logical_id))
    }

    fn attribute(&self, _: &str, name: &str) -> Option<Json> {
        Some(Json::from(name))
    }
}

fuzz_target!(|text: &str| {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(problems) => {
            assert!(problems.iter().all(|problem| !problem.message.is_empty()));
            return;
        }
    };
    template.capabilities();
    let given = Given { artifacts: Artifacts::Local, ..Given::default() };
    match template.expand(&given) {
        Err(problems) => assert!(!problems.is_empty()),
        Ok(expanded) => {
            assert_eq!(expanded.order.len(), expanded.resources.len());
            assert!(compare(&expanded.resources, &expanded.resources).is_empty());
            for resource in expanded.resources.values() {
                let again = Resource::from_json(&resource.logical_id, &resource.to_json());
                assert_eq!(again.properties, resource.properties);
                let _ = resolve(&resource.properties, &All);
                let _ = resource.place.range(text);
            }
        }
    }
});

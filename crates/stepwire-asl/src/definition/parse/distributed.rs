//! What only a Map of mode `DISTRIBUTED` has.

use super::fields::Node;
use super::state::OneState;
use crate::Json;
use crate::definition::{
    Batcher, CsvHeaders, Distributed, InputType, Percentage, Reader, Resource, Transformation,
    Writer,
};
use std::sync::Arc;

impl OneState<'_> {
    pub(super) fn distributed(&mut self, express: bool) -> Option<Box<Distributed>> {
        let node = self.node;
        let percentage = match node.members.get("ToleratedFailurePercentage") {
            Some(value) => value.as_f64().map(Percentage::Fixed),
            None => self.parser.path(node, "ToleratedFailurePercentagePath").map(Percentage::Path),
        };
        Some(Box::new(Distributed {
            express,
            label: self.parser.text(node, "Label").map(Arc::from),
            reader: self.reader(),
            batcher: self.batcher(),
            writer: self.writer(),
            tolerated_count: self.parser.seconds(node, "ToleratedFailureCount", 0),
            tolerated_percentage: percentage,
        }))
    }

    fn reader(&mut self) -> Option<Reader> {
        let members = self.parser.object(self.node, "ItemReader")?;
        let at = format!("{}/ItemReader", self.node.at);
        let node = Node { members, at: &at };
        let resource = Arc::new(Resource::parse(self.parser.text(node, "Resource")?)?);
        let arguments = self.parser.template(node, "Parameters");
        let empty = crate::json::Object::new();
        let config = self.parser.object(node, "ReaderConfig").unwrap_or(&empty);
        let at = format!("{at}/ReaderConfig");
        let config = Node { members: config, at: &at };
        let input_type = match self.parser.text(config, "InputType") {
            Some("JSON") => Some(InputType::Json),
            Some("JSONL") => Some(InputType::Jsonl),
            Some("CSV") => Some(InputType::Csv),
            Some("PARQUET") => Some(InputType::Parquet),
            Some("MANIFEST") => Some(InputType::Manifest),
            _ => None,
        };
        let given = self.parser.array(config, "CSVHeaders").unwrap_or_default();
        let given: Vec<Arc<str>> = given.iter().filter_map(|h| h.as_str().map(Arc::from)).collect();
        let csv_headers = match self.parser.text(config, "CSVHeaderLocation") {
            Some("GIVEN") => CsvHeaders::Given(given),
            _ => CsvHeaders::FirstRow,
        };
        let csv_delimiter = match self.parser.text(config, "CSVDelimiter") {
            Some("PIPE") => '|',
            Some("SEMICOLON") => ';',
            Some("SPACE") => ' ',
            Some("TAB") => '\t',
            _ => ',',
        };
        Some(Reader {
            resource,
            arguments,
            input_type,
            max_items: self.parser.seconds(config, "MaxItems", 0),
            csv_headers,
            csv_delimiter,
            load_and_flatten: self.parser.text(config, "Transformation")
                == Some("LOAD_AND_FLATTEN"),
            items_pointer: self.parser.text(config, "ItemsPointer").map(Arc::from),
        })
    }

    fn batcher(&mut self) -> Option<Batcher> {
        let members = self.parser.object(self.node, "ItemBatcher")?;
        let at = format!("{}/ItemBatcher", self.node.at);
        let node = Node { members, at: &at };
        Some(Batcher {
            max_items: self.parser.seconds(node, "MaxItemsPerBatch", 0),
            max_bytes: self.parser.seconds(node, "MaxInputBytesPerBatch", 0),
            input: self.parser.template(node, "BatchInput"),
        })
    }

    fn writer(&mut self) -> Option<Writer> {
        let members = self.parser.object(self.node, "ResultWriter")?;
        let at = format!("{}/ResultWriter", self.node.at);
        let node = Node { members, at: &at };
        let resource = self.parser.text(node, "Resource").and_then(Resource::parse).map(Arc::new);
        let config = members.get("WriterConfig");
        let word = |name| config.and_then(|c| c.member(name)).and_then(Json::as_str);
        let transformation = match word("Transformation") {
            Some("COMPACT") => Transformation::Compact,
            Some("FLATTEN") => Transformation::Flatten,
            _ => Transformation::None,
        };
        let lines = word("OutputType") == Some("JSONL");
        Some(Writer {
            resource,
            arguments: self.parser.template(node, "Parameters"),
            transformation,
            lines,
        })
    }
}

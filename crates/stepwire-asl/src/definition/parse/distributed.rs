//! What a distributed Map has beyond an inline one.

use std::sync::Arc;

use super::fields::Node;
use super::state::OneState;
use crate::Json;
use crate::definition::{
    Batcher, CsvHeaders, Distributed, InputType, Manifest, Percentage, QueryLanguage, Reader,
    Resource, Seconds, Transformation, Writer,
};

/// Members of a Map state that a distributed one alone may have.
pub(super) const DISTRIBUTED: &[&str] = &[
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "Label",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
];
const READER: &[&str] = &["Resource", "Parameters", "Arguments", "ReaderConfig"];
const READER_CONFIG: &[&str] = &[
    "InputType",
    "CSVHeaderLocation",
    "CSVHeaders",
    "CSVDelimiter",
    "MaxItems",
    "MaxItemsPath",
    "Transformation",
    "ManifestType",
    "ItemsPointer",
];
const BATCHER: &[&str] = &[
    "MaxItemsPerBatch",
    "MaxItemsPerBatchPath",
    "MaxInputBytesPerBatch",
    "MaxInputBytesPerBatchPath",
    "BatchInput",
];
/// Characters of a label.
const LABEL_MAX: usize = 40;
/// Items that a reader may be limited to.
const ITEMS_MAX: i64 = 100_000_000;
/// Most bytes of a batch.
const BATCH_BYTES_MAX: i64 = 262_144;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Inline,
    Distributed,
}

impl OneState<'_> {
    /// `None` for an inline Map. A Map of no mode is distributed when only such a one can do what it
    /// says.
    pub(super) fn distributed(&mut self, processor: Node<'_>) -> Option<Box<Distributed>> {
        let (mode, express) = self.processor_config(processor);
        let distributed = Distributed {
            express,
            label: self.label(),
            reader: self.reader(),
            batcher: self.batcher(),
            writer: self.writer(),
            tolerated_count: self.parser.seconds(self.node, "ToleratedFailureCount", 0),
            tolerated_percentage: self.tolerated_percentage(),
        };
        let members = self.node.members;
        let needs = ["ItemReader", "ItemBatcher", "ResultWriter"];
        let needs: Vec<&str> =
            needs.into_iter().filter(|name| members.contains_key(*name)).collect();
        match mode {
            Some(Mode::Inline) => {
                for name in needs {
                    let why = format!("Field '{name}' is not supported for a Map of mode `INLINE`");
                    self.parser.fail(why, self.node.at);
                }
                None
            }
            None if needs.is_empty() => None,
            None | Some(Mode::Distributed) => Some(Box::new(distributed)),
        }
    }

    /// How it is to run, and whether its children are Express.
    fn processor_config(&mut self, node: Node<'_>) -> (Option<Mode>, bool) {
        let Some(members) = self.parser.object(node, "ProcessorConfig") else {
            return (None, false);
        };
        let at = format!("{}/ProcessorConfig", node.at);
        let config = Node { members, at: &at };
        self.parser.only(config, &["Mode", "ExecutionType"]);
        let mode = self.one_of(config, "Mode", &["INLINE", "DISTRIBUTED"]);
        let mode = mode.map(|at| [Mode::Inline, Mode::Distributed][at]);
        let express = self.one_of(config, "ExecutionType", &["STANDARD", "EXPRESS"]) == Some(1);
        if mode == Some(Mode::Distributed) {
            self.parser.required(config, &["ExecutionType"]);
        }
        (mode, express)
    }

    /// Which of `words` the member `name` is.
    fn one_of(&mut self, node: Node<'_>, name: &str, words: &[&str]) -> Option<usize> {
        let text = self.parser.text(node, name)?;
        let found = words.iter().position(|word| *word == text);
        if found.is_none() {
            let message = format!("Value is not one of [{}]", words.join(", "));
            self.parser.fail(message, format!("{}/{name}", node.at));
        }
        found
    }

    fn label(&mut self) -> Option<Arc<str>> {
        let label = self.parser.text(self.node, "Label")?;
        let fits = (1..=LABEL_MAX).contains(&label.chars().count());
        let forbidden =
            |c: char| c.is_whitespace() || c.is_control() || r#"?*<>{}[]:;,\|^~$#%&`""#.contains(c);
        if !fits || label.contains(forbidden) {
            let message = format!("A label has 1 to {LABEL_MAX} characters, none of them special");
            self.parser.fail(message, format!("{}/Label", self.node.at));
        }
        Some(label.into())
    }

    fn tolerated_percentage(&mut self) -> Option<Percentage> {
        let (node, name, by_path) =
            (self.node, "ToleratedFailurePercentage", "ToleratedFailurePercentagePath");
        self.parser.at_most_one(node, &[name, by_path]);
        if node.members.contains_key(by_path) {
            return self.parser.path(node, by_path).map(Percentage::Path);
        }
        if self.parser.is_expression(node, name) {
            return self.parser.expression(node, name).map(Percentage::Expression);
        }
        let value = node.members.get(name)?;
        let number = value.as_f64().filter(|number| (0.0..=100.0).contains(number));
        if number.is_none() {
            let message = "Expected a number from 0 to 100";
            self.parser.fail(message, format!("{}/{name}", node.at));
        }
        number.map(Percentage::Fixed)
    }

    /// What `node` calls: one of these operations of S3.
    fn called(&mut self, node: Node<'_>, operations: &[&str]) -> Option<Arc<Resource>> {
        let text = self.parser.text(node, "Resource")?;
        let resource = Resource::parse(text)
            .filter(|resource| resource.service() == "s3" && operations.contains(&resource.api()));
        if resource.is_none() {
            let known = operations.iter().map(|api| format!("arn:aws:states:::s3:{api}"));
            let known = known.collect::<Vec<_>>().join(", ");
            self.parser
                .fail(format!("Value is not one of [{known}]"), format!("{}/Resource", node.at));
        }
        resource.map(Arc::new)
    }

    fn reader(&mut self) -> Option<Reader> {
        let members = self.parser.object(self.node, "ItemReader")?;
        let at = format!("{}/ItemReader", self.node.at);
        let node = Node { members, at: &at };
        self.parser.only(node, READER);
        self.parser.required(node, &["Resource"]);
        let resource = self.called(node, &["getObject", "listObjectsV2"]);
        let arguments = self.parser.template(node, self.arguments());
        let empty = Json::object::<&str>([]);
        let config = match members.get("ReaderConfig") {
            Some(_) => self.parser.object(node, "ReaderConfig")?,
            None => empty.as_object()?,
        };
        let at = format!("{at}/ReaderConfig");
        let config = Node { members: config, at: &at };
        self.parser.only(config, READER_CONFIG);
        let (input_type, manifest) = self.input_type(config);
        if manifest.is_some() && resource.as_ref().is_some_and(|r| r.api() != "getObject") {
            let message = "A manifest is read by arn:aws:states:::s3:getObject".to_owned();
            self.parser.fail(message, &at);
        }
        let given = self.one_of(config, "CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]) == Some(1);
        let headers = self.parser.array(config, "CSVHeaders").unwrap_or_default();
        let headers = headers.iter().filter_map(Json::as_str).map(Arc::from).collect();
        if given {
            self.parser.required(config, &["CSVHeaders"]);
        }
        let csv_headers = if given { CsvHeaders::Given(headers) } else { CsvHeaders::FirstRow };
        let delimiters = ["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"];
        let delimiter = self.one_of(config, "CSVDelimiter", &delimiters).unwrap_or(0);
        let flatten = self.one_of(config, "Transformation", &["NONE", "LOAD_AND_FLATTEN"]);
        let max_items = self.parser.number(config, "MaxItems", 0, ITEMS_MAX);
        Some(Reader {
            resource: resource?,
            arguments,
            input_type,
            manifest,
            max_items,
            csv_headers,
            csv_delimiter: [',', '|', ';', ' ', '\t'][delimiter],
            load_and_flatten: flatten == Some(1),
            items_pointer: self.parser.text(config, "ItemsPointer").map(Arc::from),
        })
    }

    /// What the objects with the items hold, and how the one that is named leads to them.
    fn input_type(&mut self, config: Node<'_>) -> (Option<InputType>, Option<Manifest>) {
        let types = ["JSON", "JSONL", "CSV", "PARQUET", "MANIFEST"];
        let word = self.one_of(config, "InputType", &types).map(|at| types[at]);
        let input_type = match word {
            None => None,
            Some("JSON") => Some(InputType::Json),
            Some("JSONL") => Some(InputType::Jsonl),
            Some("CSV" | "MANIFEST") => Some(InputType::Csv),
            Some(kind) => {
                let message = format!("item readers of `{kind}` are not available in stepwire yet");
                self.parser.fail(message, format!("{}/InputType", config.at));
                None
            }
        };
        let named = self.one_of(config, "ManifestType", &["S3_INVENTORY", "ATHENA_DATA"]);
        let manifest = match named {
            Some(0) => Some(Manifest::Inventory),
            Some(_) => Some(Manifest::Athena),
            None => (word == Some("MANIFEST")).then_some(Manifest::Inventory),
        };
        let fits: &[_] = match manifest {
            None => return (input_type, None),
            Some(Manifest::Inventory) => &[None, Some("CSV"), Some("PARQUET"), Some("MANIFEST")],
            Some(Manifest::Athena) => &[Some("CSV"), Some("JSONL"), Some("PARQUET")],
        };
        if !fits.contains(&word) {
            let message = "Files of this InputType do not come with such a manifest".to_owned();
            self.parser.fail(message, format!("{}/ManifestType", config.at));
        }
        (input_type.or(Some(InputType::Csv)), manifest)
    }

    fn arguments(&self) -> &'static str {
        match self.parser.language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::Jsonata => "Arguments",
        }
    }

    fn batcher(&mut self) -> Option<Batcher> {
        let members = self.parser.object(self.node, "ItemBatcher")?;
        let at = format!("{}/ItemBatcher", self.node.at);
        let node = Node { members, at: &at };
        self.parser.only(node, BATCHER);
        let sizes = [
            "MaxItemsPerBatch",
            "MaxItemsPerBatchPath",
            "MaxInputBytesPerBatch",
            "MaxInputBytesPerBatchPath",
        ];
        if !sizes.iter().any(|name| members.contains_key(*name)) {
            let names = sizes.join(", ");
            let message =
                format!("There should be at least one of the following fields: [{names}]");
            self.parser.fail(message, &at);
        }
        let max_bytes = self.parser.seconds(node, "MaxInputBytesPerBatch", 1);
        if let Some(Seconds::Fixed(bytes)) = max_bytes
            && bytes > BATCH_BYTES_MAX
        {
            let message = format!("Maximum value is {BATCH_BYTES_MAX}");
            self.parser.fail(message, format!("{at}/MaxInputBytesPerBatch"));
        }
        Some(Batcher {
            max_items: self.parser.seconds(node, "MaxItemsPerBatch", 1),
            max_bytes,
            input: self.parser.template(node, "BatchInput"),
        })
    }

    fn writer(&mut self) -> Option<Writer> {
        let members = self.parser.object(self.node, "ResultWriter")?;
        let at = format!("{}/ResultWriter", self.node.at);
        let node = Node { members, at: &at };
        self.parser.only(node, &["Resource", "Parameters", "Arguments", "WriterConfig"]);
        let resource = self.called(node, &["putObject"]);
        let arguments = self.parser.template(node, self.arguments());
        if resource.is_none() && !members.contains_key("WriterConfig") {
            let message =
                "There should be at least one of the following fields: [Resource, WriterConfig]";
            self.parser.fail(message, &at);
        }
        let (mut transformation, mut lines) = (Transformation::None, false);
        if let Some(members) = self.parser.object(node, "WriterConfig") {
            let at = format!("{at}/WriterConfig");
            let config = Node { members, at: &at };
            self.parser.only(config, &["Transformation", "OutputType"]);
            let words = ["NONE", "COMPACT", "FLATTEN"];
            let found = self.one_of(config, "Transformation", &words);
            transformation = match found {
                Some(1) => Transformation::Compact,
                Some(2) => Transformation::Flatten,
                _ => Transformation::None,
            };
            lines = self.one_of(config, "OutputType", &["JSON", "JSONL"]) == Some(1);
        }
        Some(Writer { resource, arguments, transformation, lines })
    }
}

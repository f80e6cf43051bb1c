//! Messages of Protocol Buffers, read by a set of descriptors (ADR 0013).
//!
//! Source: AWS IoT developer guide, "Decoding protobuf message payloads"; the JSON of a message is
//! that of the Protocol Buffers documentation, "ProtoJSON Format".

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use stepwire_asl::Json;

/// Largest set of descriptors, bytes: AWS's limit as far as we know.
pub const DESCRIPTORS_MAX: usize = 32 * 1024;
/// Longest JSON that a message is written as, bytes.
const JSON_MAX: usize = 131_072;
/// Sets of descriptors that are kept as they were read.
const SETS_KEPT: usize = 16;

/// Sets that were read, the latest last; `None` for what is no set. They follow from their bytes
/// alone, so that keeping them changes no result.
static SETS: Mutex<Vec<(Bytes, Option<DescriptorPool>)>> = Mutex::new(Vec::new());

/// The descriptor of a message.
#[derive(Debug, Clone)]
pub struct Descriptor(MessageDescriptor);

/// Why there is no descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDescriptor {
    /// The set has too many bytes.
    #[error("the descriptor set has more than 32 KiB")]
    TooLarge,
    /// The bytes are no set, or one of another syntax than proto2 and proto3.
    #[error(
        "the object is no descriptor set of proto2 or proto3; make it with \
        `protoc --include_imports --descriptor_set_out`"
    )]
    NoSet,
    /// No file of the set has this name.
    #[error("the descriptor set has no such file")]
    NoFile,
    /// The file defines no such message.
    #[error("the file defines no such message")]
    NoMessage,
}

impl Descriptor {
    /// The message `name` of `file`, in the set that `protoc --descriptor_set_out` wrote.
    ///
    /// The file may be named without `.proto` and without the folders before it; the message with
    /// its package or without.
    pub fn find(set: &Bytes, file: &str, name: &str) -> Result<Descriptor, NoDescriptor> {
        if set.len() > DESCRIPTORS_MAX {
            return Err(NoDescriptor::TooLarge);
        }
        let pool = pool(set).ok_or(NoDescriptor::NoSet)?;
        let with_end = format!("{file}.proto");
        let is = |of: &str, file: &str| {
            of == file || of.strip_suffix(file).is_some_and(|folders| folders.ends_with('/'))
        };
        let mut files: Vec<_> =
            pool.files().filter(|of| is(of.name(), file) || is(of.name(), &with_end)).collect();
        if files.is_empty() {
            return Err(NoDescriptor::NoFile);
        }
        // The whole name first.
        files.sort_by_key(|of| of.name() != file && of.name() != with_end);
        let found = files.iter().find_map(|file| {
            let in_package = format!("{}.{name}", file.package_name());
            let named = [in_package.as_str(), name.trim_start_matches('.')];
            let mut found = named.iter().filter_map(|name| pool.get_message_by_name(name));
            found.find(|message| message.parent_file().name() == file.name())
        });
        found.map(Descriptor).ok_or(NoDescriptor::NoMessage)
    }

    /// The message in these bytes as JSON: names in lowerCamelCase, enum values by name, bytes in
    /// base64, integers of 64 bits as strings, fields at their default value left out. `None` when
    /// the bytes are no such message, or its JSON is longer than 128 KiB.
    pub fn read(&self, message: &[u8]) -> Option<Json> {
        let message = caught(|| DynamicMessage::decode(self.0.clone(), message).ok())?;
        let mut text = Bounded(Vec::new());
        let mut serializer = serde_json::Serializer::new(&mut text);
        message.serialize_with_options(&mut serializer, &SerializeOptions::new()).ok()?;
        Json::parse_bytes(&text.0).ok()
    }
}

/// What a set describes, read at most once while it is in use.
fn pool(set: &Bytes) -> Option<DescriptorPool> {
    let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = match sets.iter().position(|(known, _)| known == set) {
        Some(at) => sets.remove(at),
        None => (set.clone(), read(set)),
    };
    let pool = known.1.clone();
    sets.push(known);
    if sets.len() > SETS_KEPT {
        sets.remove(0);
    }
    pool
}

fn read(set: &Bytes) -> Option<DescriptorPool> {
    let files = FileDescriptorSet::decode(set.as_ref()).ok()?.file;
    if !files.iter().all(is_sound) {
        return None;
    }
    caught(|| DescriptorPool::decode(set.as_ref()).ok())
}

/// Whether the library does not stumble over a file: it does over any other syntax, `editions`
/// among them, and over maps whose keys cannot be keys.
fn is_sound(file: &FileDescriptorProto) -> bool {
    matches!(file.syntax.as_deref(), None | Some("proto2" | "proto3"))
        && file.message_type.iter().all(has_sound_maps)
}

fn has_sound_maps(message: &DescriptorProto) -> bool {
    let is_map =
        message.options.as_ref().is_some_and(prost_reflect::prost_types::MessageOptions::map_entry);
    let field = |number| message.field.iter().find(|field| field.number == Some(number));
    let is_single = |field: &FieldDescriptorProto| field.label() != Label::Repeated;
    let is_key = |field: &FieldDescriptorProto| {
        use Type::{Bytes, Double, Enum, Float, Group, Message};
        !matches!(field.r#type(), Double | Float | Bytes | Enum | Message | Group)
    };
    let is_sound = field(1).is_some_and(|key| is_key(key) && is_single(key))
        && field(2).is_some_and(is_single);
    (!is_map || is_sound) && message.nested_type.iter().all(has_sound_maps)
}

/// What the library makes of a set: nothing where it panics, as it may for one that no compiler
/// has written.
fn caught<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

/// Text up to the most that is allowed.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > JSON_MAX {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

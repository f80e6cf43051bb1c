//! Functions written in a template: the archive that the service is given.
//!
//! The source is in `index.js` or `index.py`, with the module that answers custom resources beside
//! it. Source: CloudFormation reference, `AWS::Lambda::Function Code`, `ZipFile`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The archive of `source`, in base64. The error is why there is none.
pub(super) fn archive(runtime: &str, source: &str) -> Result<String, String> {
    let files: [(&str, &str); 2] = if runtime.starts_with("nodejs") {
        [("index.js", source), ("node_modules/cfn-response/index.js", NODE)]
    } else if runtime.starts_with("python") {
        [("index.py", source), ("cfnresponse.py", PYTHON)]
    } else {
        return Err(format!(
            "ZipFile can only be used when Runtime is set to either of nodejs or python, not \
             `{runtime}`"
        ));
    };
    Ok(STANDARD.encode(zip(&files)))
}

/// How custom resources of Node answer, with the interface that AWS documents.
const NODE: &str = r#"exports.SUCCESS = "SUCCESS";
exports.FAILED = "FAILED";
exports.send = (event, context, status, data, physicalId, noEcho) => new Promise((done, fail) => {
  const body = JSON.stringify({
    Status: status,
    Reason: "See the details in CloudWatch Log Stream: " + context.logStreamName,
    PhysicalResourceId: physicalId || context.logStreamName,
    StackId: event.StackId,
    RequestId: event.RequestId,
    LogicalResourceId: event.LogicalResourceId,
    NoEcho: noEcho || false,
    Data: data,
  });
  const url = new URL(event.ResponseURL);
  const over = require(url.protocol === "http:" ? "http" : "https");
  const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
  const request = over.request(url, { method: "PUT", headers }, (answer) => {
    answer.resume();
    answer.on("end", () => { done(); if (context.done) context.done(); });
  });
  request.on("error", (error) => { fail(error); if (context.done) context.done(error); });
  request.end(body);
});
"#;

/// The same for Python.
const PYTHON: &str = r#"import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False,
         reason=None):
    seen = "See the details in CloudWatch Log Stream: {}".format(context.log_stream_name)
    body = json.dumps({
        "Status": responseStatus,
        "Reason": reason or seen,
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT",
                                     headers={"content-type": ""})
    urllib.request.urlopen(request).close()
"#;

/// An archive of files as they are, not packed. Source: PKWARE APPNOTE 6.3, 4.3.7, 4.3.12, 4.3.16.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    /// 1980-01-01, the first day there is.
    const DAY: u16 = 0x21;
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let place = out.len() as u32;
        let (sum, size) = (CRC.checksum(text.as_bytes()), text.len() as u32);
        let mut common = Vec::new();
        for short in [20_u16, 0x0800, 0, 0, DAY] {
            common.extend_from_slice(&short.to_le_bytes());
        }
        for long in [sum, size, size] {
            common.extend_from_slice(&long.to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&0_u16.to_le_bytes());
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(text.as_bytes());
        directory.extend_from_slice(b"PK\x01\x02");
        // Made on a system with modes, which say that everybody may read.
        directory.extend_from_slice(&0x0314_u16.to_le_bytes());
        directory.extend_from_slice(&common);
        for short in [0_u16, 0, 0] {
            directory.extend_from_slice(&short.to_le_bytes());
        }
        directory.extend_from_slice(&(0o100_644_u32 << 16).to_le_bytes());
        directory.extend_from_slice(&place.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let (count, place) = (files.len() as u16, out.len() as u32);
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06");
    for short in [0, 0, count, count] {
        out.extend_from_slice(&short.to_le_bytes());
    }
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&place.to_le_bytes());
    out.extend_from_slice(&0_u16.to_le_bytes());
    out
}

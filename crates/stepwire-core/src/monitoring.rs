//! How metrics lead to alarms, and alarms to what they tell: topics, functions, the event bus.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use crate::alarms::{self, Turned};
use crate::effect::{Effect, Report};
use crate::error::ApiError;
use crate::events::{DEFAULT, Entry};
use crate::functions::FunctionName;
use crate::input::{Follow, Input};
use crate::kernel::{Kernel, Step};
use crate::metrics::{self, Metrics, Place, Point};
use crate::read::Reads;
use crate::record::Corrupt;
use crate::topics;
use crate::write::Write;

/// Most alarms that one step looks at.
const ALARMS_MAX: usize = 64;

impl Kernel {
    /// Carries out a request on metrics.
    pub(crate) fn call_metrics(
        &mut self,
        now: Timestamp,
        request: &metrics::Request,
        reads: &Reads,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        let metrics::Request::PutMetricData(samples) = request else {
            return Metrics::list_recent(now, request, reads);
        };
        self.count(now, samples, step)?;
        Ok(Json::Object(Arc::default()))
    }

    /// Puts samples into their metrics. On `Err` nothing has changed.
    pub(crate) fn count(
        &mut self,
        now: Timestamp,
        samples: &[metrics::Sample],
        step: &mut Step,
    ) -> Result<(), ApiError> {
        let mut writes = Vec::new();
        let max = self.settings.quotas.metrics_max;
        let points = self.metrics.put(now, samples, max, &mut writes)?;
        step.writes.extend(writes.into_iter().map(Write::Metrics));
        for sample in samples {
            self.alarms.measured(now, &sample.metric, sample.at.unwrap_or(now));
        }
        // Which points they are depends on the time: they are read, and written, next.
        step.then.push(Input::Follow(Follow::Measure(points)));
        Ok(())
    }

    /// Adds to points what was put into metrics.
    pub(crate) fn measure(
        &mut self,
        points: BTreeMap<Place, Point>,
        reads: &Reads,
        step: &mut Step,
    ) {
        let mut writes = Vec::new();
        let unreadable = self.metrics.add(points, reads, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Metrics));
        report(unreadable, step);
    }

    /// Carries out a request on alarms.
    pub(crate) fn call_alarms(
        &mut self,
        now: Timestamp,
        request: &alarms::Request,
        step: &mut Step,
    ) -> Result<Json, ApiError> {
        let (mut writes, mut turned) = (Vec::new(), Vec::new());
        let (alarms, settings) = (&mut self.alarms, &self.settings);
        let answer = alarms.call(now, request, settings, &mut writes, &mut turned)?;
        step.writes.extend(writes.into_iter().map(Write::Alarms));
        self.turned(now, turned, step);
        Ok(answer)
    }

    /// Has some of the alarms whose state may have changed looked at.
    pub(crate) fn look_at_alarms(&self, now: Timestamp, step: &mut Step) {
        let overdue = self.alarms.overdue(now, ALARMS_MAX);
        if !overdue.is_empty() {
            step.then.push(Input::Follow(Follow::Watch(now, overdue)));
        }
    }

    /// Looks at alarms.
    pub(crate) fn watch(
        &mut self,
        now: Timestamp,
        names: &[Arc<str>],
        reads: &Reads,
        step: &mut Step,
    ) {
        let (mut writes, mut turned) = (Vec::new(), Vec::new());
        let (alarms, metrics) = (&mut self.alarms, &self.metrics);
        let unreadable = alarms.watch(now, names, metrics, reads, &mut writes, &mut turned);
        step.writes.extend(writes.into_iter().map(Write::Alarms));
        report(unreadable, step);
        self.turned(now, turned, step);
    }

    /// Tells of alarms that are in another state than before.
    fn turned(&mut self, now: Timestamp, turned: Vec<Turned>, step: &mut Step) {
        for turned in turned {
            for arn in turned.after.actions() {
                let told = self.tell(now, arn, &turned, step);
                let mut writes = Vec::new();
                let result = told.as_ref().copied();
                self.alarms.acted(now, &turned.after.name, arn, result, &mut writes);
                step.writes.extend(writes.into_iter().map(Write::Alarms));
                if let Err(error) = told {
                    let (target, why) = (Arc::clone(arn), error.to_string().into());
                    step.effects.push(Effect::Report(Report::Undelivered { target, why }));
                }
            }
            if self.events.listens(DEFAULT) {
                let name = &turned.after.name;
                let arn = self.settings.arn("cloudwatch", &format!("alarm:{name}"));
                let entry = Entry {
                    bus: DEFAULT.into(),
                    source: "aws.cloudwatch".into(),
                    detail_type: "CloudWatch Alarm State Change".into(),
                    detail: alarms::event(&turned, &self.settings),
                    resources: vec![arn.into()],
                    time: None,
                };
                self.put_event(now, entry, step);
            }
        }
    }

    fn tell(
        &mut self,
        now: Timestamp,
        arn: &Arc<str>,
        turned: &Turned,
        step: &mut Step,
    ) -> Result<(), ApiError> {
        if arn.split(':').nth(2) == Some("lambda") {
            let function = FunctionName::parse(arn)?;
            let payload = alarms::function_event(turned, &self.settings).to_text().into();
            let mut writes = Vec::new();
            let (functions, settings) = (&mut self.functions, &self.settings);
            let queued = functions.enqueue(now, &function, payload, settings, &mut writes);
            step.writes.extend(writes.into_iter().map(Write::Functions));
            return queued;
        }
        let (subject, message) = alarms::notification(turned, &self.settings);
        let publish = topics::Publish::plain(message.to_text(), Some(subject.into()));
        let (topic, publish) = (Arc::clone(arn), Box::new(publish));
        self.call_topics(now, &topics::Request::Publish { topic, publish }, step).map(drop)
    }

    /// Removes a slice of the data points that have been kept long enough.
    pub(crate) fn tidy_metrics(&mut self, now: Timestamp, reads: &Reads, step: &mut Step) {
        let mut writes = Vec::new();
        let kept = self.settings.quotas.metric_retention_seconds;
        self.metrics.tidy(now, kept, reads, &mut writes);
        step.writes.extend(writes.into_iter().map(Write::Metrics));
    }
}

fn report(unreadable: Vec<Corrupt>, step: &mut Step) {
    step.effects.extend(
        unreadable
            .into_iter()
            .map(|corrupt| Effect::Report(Report::Unreadable { why: corrupt.to_string().into() })),
    );
}

//! Execution: what one run does and did, and why.
//!
//! Read in this order: [`View`], [`page`]. The parts of the page are a file each.

mod children;
mod events;
mod file;
mod head;
mod inspector;
mod json;
mod look;
mod table;
mod timeline;

use std::sync::Arc;

use maud::{Markup, html};
use stepwire_asl::Timestamp;

pub use children::Seen;
pub use file::{Given, file, open};
pub use look::{Look, Show, Tab};
pub use timeline::{Lane, Span};

use crate::frame::{Crumb, Page, Section};
use crate::graph::{self, Collapsed, Graph, Kind, NodeId, Options, Paint};
use crate::region::{Mark, Parts};
use crate::run::{Facts, Run, Scope, VisitId};
use crate::words::{Status, capital, segment};

/// States from which on a list is shown in place of the drawing, unless the drawing is asked for.
const DRAWN_MAX: usize = 60;
/// Height of a graph that is made to fit into its card; others are scrolled.
const FITTED_MAX: f32 = 900.0;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct View {
    /// What the execution did, until the event that is looked at.
    pub run: Run,
    /// How many events it has in all.
    pub events: usize,
    /// The present, or when the event that is looked at happened.
    pub now: Timestamp,
    /// Who it is; `None` of a history from a file.
    pub about: Option<About>,
    /// What is known beside its history.
    pub facts: Facts,
    /// What is looked at.
    pub look: Look,
    /// What else happened at that time, for the timeline.
    pub spans: Vec<Span>,
    /// What its functions wrote.
    pub logs: Vec<Output>,
    /// Its lines in the log group of its workflow, when the logs are shown and it has one.
    pub group: Option<LogGroup>,
    /// Its map runs.
    pub map_runs: Vec<MapRun>,
}

/// What a workflow's log group has of a run.
#[derive(Debug, Clone)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// `level` of the workflow's `loggingConfiguration`.
    pub level: String,
    /// Its lines, the oldest first.
    pub lines: Vec<(Timestamp, String)>,
    /// Whether there are more.
    pub more: bool,
    /// Why they cannot be read.
    pub problem: Option<String>,
}

/// The children of a distributed Map.
#[derive(Debug, Clone)]
pub struct MapRun {
    /// Its ARN.
    pub arn: String,
    /// How it stands, AWS's word.
    pub status: String,
    /// Its items by how they stand: `succeeded`, `failed` …, without those there are none of.
    pub items: Vec<(String, i64)>,
    /// Its children, those that failed first, then those that run, then the latest: name, status in
    /// AWS's word, ARN.
    pub children: Vec<(String, String, String)>,
    /// Whether there are more.
    pub more: bool,
    /// What some of them did.
    pub seen: Seen,
}

impl MapRun {
    /// Items that were tried and did not succeed.
    pub fn failed(&self) -> u64 {
        let failed = self
            .items
            .iter()
            .filter(|(word, _)| matches!(&**word, "failed" | "timed out" | "aborted"));
        failed.map(|(_, number)| number.unsigned_abs()).sum()
    }
}

/// An execution of this node.
#[derive(Debug, Clone)]
pub struct About {
    /// Name of its state machine; of a child of a map run that name and its label.
    pub workflow: String,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The version that it runs, and the alias that led there.
    pub version: Option<String>,
    /// Whether its state machine has been deleted.
    pub is_gone: bool,
    /// The rule that started it.
    pub rule: Option<Arc<str>>,
    /// The topic of the message that it was started by.
    pub topic: Option<Arc<str>>,
    /// The execution that waits for it, by ARN.
    pub parent: Option<String>,
    /// The map run that it is a child of, by ARN.
    pub map_run: Option<String>,
    /// Whether it can be redriven; else why not.
    pub redrive: Result<(), String>,
    /// The previous and the next run of the same device: paths.
    pub neighbours: (Option<String>, Option<String>),
}

/// What a function wrote in one invocation.
#[derive(Debug, Clone)]
pub struct Output {
    /// The `TaskScheduled` event.
    pub scheduled: u64,
    /// Name of the function.
    pub function: String,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Whether it failed.
    pub failed: bool,
    /// Its standard output and error.
    pub text: String,
}

/// What is drawn from: the view and what follows from it.
struct Drawn<'a> {
    view: &'a View,
    graph: Graph,
    scope: Scope,
    /// The state that is looked at, and the visit of it.
    picked: Option<(Option<NodeId>, VisitId)>,
}

/// Draws it.
pub fn page(view: &View) -> Page {
    let drawn = Drawn::new(view);
    let mut parts = Parts::default();
    let head = parts.region("run-head", head::head(&drawn));
    let why = parts.region("run-why", head::why(&drawn));
    let switch = parts.region("run-switch", drawn.switch());
    let content = match view.look.show {
        Show::Graph => drawn.graph(&mut parts),
        Show::Table => parts.region("run-table", table::table(&drawn)),
        Show::Events => events::events(&drawn, &mut parts),
        Show::Logs => parts.region("run-logs", events::logs(&drawn)),
    };
    let name = parts.region("run-state", inspector::name(&drawn));
    let state = parts.region("run-inspector", inspector::inspector(&drawn));
    let by_hand = inspector::by_hand(&drawn, &mut parts);
    let timeline = parts.region("run-timeline", timeline::timeline(&drawn));
    let travel = parts.region("run-travel", head::travel(&drawn));
    let main = html! {
        (head)
        (why)
        div.ex {
            section.card.g aria-label="Workflow" {
                (switch)
                (content)
                @if view.look.show == Show::Graph { div.foot { (legend()) } }
            }
            section.card.in aria-label="State" {
                (name)
                div.insp tabindex="0" role="group" aria-label="State details" data-scroll="state" {
                    (state) (by_hand)
                }
            }
            section.card.tl aria-label="Timeline" { (timeline) }
        }
        (travel)
        @if view.about.is_some() { (head::new_execution(&drawn)) }
    };
    let title = match &view.about {
        Some(about) => format!("{} · {}", about.name, about.workflow),
        None => file::TITLE.to_owned(),
    };
    Page { title, section: Section::Executions, crumbs: crumbs(view), main, parts }
}

fn crumbs(view: &View) -> Vec<Crumb> {
    match &view.about {
        Some(about) => vec![
            Crumb::to("Executions", "/executions"),
            if about.is_gone {
                Crumb::here(about.workflow.clone())
            } else {
                Crumb::to(about.workflow.clone(), workflow_path(&about.workflow))
            },
            Crumb::here(about.name.clone()),
        ],
        None => vec![
            Crumb::to("Executions", "/executions"),
            Crumb::to("Open a history", "/open"),
            Crumb::here(file::TITLE),
        ],
    }
}

/// Where a state machine's page is; of a map run's children that of the machine with the Map.
fn workflow_path(workflow: &str) -> String {
    let name = workflow.split('/').next().unwrap_or(workflow);
    format!("/workflows/{}", segment(name))
}

/// Where the page of an execution is, by its ARN. `None`: it is no execution's ARN.
pub fn path_of(arn: &str) -> Option<String> {
    let mut rest = arn.splitn(7, ':').skip(5);
    let (kind, name) = (rest.next()?, rest.next()?);
    let (workflow, name) = name.split_once(':').filter(|_| kind == "execution")?;
    Some(format!("/executions/{}/{}", segment(workflow), segment(name)))
}

impl<'a> Drawn<'a> {
    fn new(view: &'a View) -> Drawn<'a> {
        let graph = Graph::of(&view.run.definition());
        let scope = Scope::of(&view.run, &view.look.items);
        let mut drawn = Drawn { view, graph, scope, picked: None };
        drawn.picked = drawn.pick();
        drawn
    }

    fn run(&self) -> &'a Run {
        &self.view.run
    }

    /// What is looked at: the state that was asked for, else what the sentence is about.
    fn pick(&self) -> Option<(Option<NodeId>, VisitId)> {
        let run = self.run();
        let look = &self.view.look;
        let asked = |name: &str| {
            let mut visits = (0..run.visits.len())
                .filter(|id| *run.visits[*id].name == *name && self.scope.has(run, *id));
            match look.visit {
                Some(number) => visits.nth(number.saturating_sub(1)),
                None => visits.next_back(),
            }
        };
        let id = match &look.state {
            Some(name) => asked(name)?,
            None => run.why(&self.view.facts).visit.or_else(|| run.visits.len().checked_sub(1))?,
        };
        Some((run.node_of(&self.graph, id), id))
    }

    /// Where a visit is looked at.
    fn to_visit(&self, id: VisitId) -> String {
        let run = self.run();
        if self.view.about.is_none() {
            return file::anchor(run, id);
        }
        let way = run.way_to(id).into_iter();
        let items = way.filter(|(_, frame)| run.frames[*frame].iteration);
        let items: Vec<usize> = items.map(|(_, frame)| run.frames[frame].index).collect();
        let scope = Scope::of(run, &items);
        let name = &run.visits[id].name;
        let alike = (0..run.visits.len()).filter(|other| run.visits[*other].name == *name);
        let alike: Vec<VisitId> = alike.filter(|other| scope.has(run, *other)).collect();
        let number = alike.iter().position(|other| *other == id).map(|at| at + 1);
        let visit = number.filter(|number| *number < alike.len());
        self.href(&Look { state: Some(name.to_string()), visit, items, ..self.view.look.clone() })
    }

    /// Where a state is looked at, in the iterations that are picked.
    fn to_state(&self, name: &str) -> String {
        if self.view.about.is_none() {
            let run = self.run();
            let last = (0..run.visits.len()).rev().find(|id| *run.visits[*id].name == *name);
            return last.map_or_else(|| "#".to_owned(), |id| file::anchor(run, id));
        }
        let look = Look { state: Some(name.to_owned()), visit: None, ..self.view.look.clone() };
        self.href(&look)
    }

    fn href(&self, look: &Look) -> String {
        look.href(self.base())
    }

    /// The path of the page; of a file it has none.
    fn base(&self) -> String {
        let about = self.view.about.as_ref();
        about.and_then(|about| path_of(&about.arn)).unwrap_or_default()
    }

    fn paint(&self) -> Paint {
        let mut paint = self.run().paint(&self.graph, &self.scope);
        // What the run has not come to is looked at by its name.
        let named = || {
            let name = self.view.look.state.as_deref()?;
            let mut states = self.graph.nodes.iter().filter(|node| self.graph.is_state(node.id));
            Some(states.find(|node| *node.name == *name)?.id)
        };
        paint.selected = self.picked.map_or_else(named, |(node, _)| node);
        if self.view.look.at.is_none() {
            self.paint_map_runs(&mut paint);
        }
        paint
    }

    /// How far the children of distributed Maps are: the run's own history has nothing of them.
    fn paint_map_runs(&self, paint: &mut Paint) {
        let run = self.run();
        for (node, visits) in run.by_node(&self.graph, &self.scope) {
            let last = visits.last().and_then(|id| run.visits[*id].attempts.last());
            let arn = last.and_then(|attempt| attempt.map_run.as_deref());
            let of = self.view.map_runs.iter().find(|map_run| Some(&*map_run.arn) == arn);
            if let (Some(of), Some(painted)) = (of, paint.nodes.get_mut(&node)) {
                let all: i64 = of.items.iter().map(|(_, number)| number).sum();
                let done = of.items.iter().filter(|(word, _)| word == "succeeded");
                let done: i64 = done.map(|(_, number)| number).sum();
                painted.count = Some(format!("{done}/{all}"));
                for (word, number) in &of.items {
                    painted.words = format!("{}, {number} {word}", painted.words);
                }
                of.seen.paint(&self.graph, &self.graph.nodes[node].name, &of.looked_at(), paint);
            }
        }
    }

    fn switch(&self) -> Markup {
        let look = &self.view.look;
        let views = [
            (Show::Graph, "Graph".to_owned()),
            (Show::Table, "Table".to_owned()),
            (Show::Events, format!("Events {}", self.run().events.len())),
            (Show::Logs, self.logs_name()),
        ];
        html! {
            div.bar {
                nav.seg aria-label="View" {
                    @for (show, name) in views {
                        @let href = self.href(&Look { show, page: None, ..look.clone() });
                        a href=(href) aria-current=[(show == look.show).then_some("true")] { (name) }
                    }
                }
                @if self.view.about.is_some() && look.at.is_none() && self.run().end == crate::run::End::None {
                    span.live.r { "LIVE" }
                }
            }
        }
    }

    /// The number of invocations alone would say that there is nothing when there is a log group.
    fn logs_name(&self) -> String {
        let number = self.view.logs.len();
        if number == 0 { "Logs".to_owned() } else { format!("Logs {number}") }
    }

    fn graph(&self, parts: &mut Parts) -> Markup {
        let paint = self.paint();
        let link = |node: &graph::Node| self.to_state(&node.name);
        let name = self.view.about.as_ref().map_or("Workflow", |about| about.workflow.as_str());
        if self.graph.states() > DRAWN_MAX && !self.view.look.drawn {
            let href = self.href(&Look { drawn: true, ..self.view.look.clone() });
            let list =
                parts.region("run-outline", graph::outline(&self.graph, &paint, Some(&link)));
            return html! {
                div.note { (self.graph.states()) " states: shown as a list. " a href=(href) { "Draw the graph" } }
                div.scroll.grow tabindex="0" role="group" aria-label="States" data-scroll="outline" { (list) }
            };
        }
        let layout = self.graph.layout(&Collapsed::default());
        let options =
            Options { id_prefix: "", name, links: Some(&link), toggles: None, standalone: false };
        for node in
            self.graph.nodes.iter().filter(|node| !matches!(node.kind, Kind::Start | Kind::End))
        {
            parts.mark(Mark {
                id: format!("st-{}", node.id),
                class: paint.class(node),
                badge: Some(paint.node(node.id).badge),
                label: Some(paint.label(node)),
            });
        }
        for index in 0..self.graph.edges.len() {
            let class = paint.edge_class(&self.graph, index);
            parts.mark(Mark { id: format!("ed-{index}"), class, badge: None, label: None });
        }
        let counts = graph::counts(&self.graph, &layout, &paint);
        parts.regions.push(("counts".to_owned(), counts.into_string()));
        html! {
            div.gwrap.fit[layout.height < FITTED_MAX] tabindex="0" role="group" aria-label="Graph" {
                (graph::svg(&self.graph, &layout, &paint, &options))
            }
        }
    }
}

fn legend() -> Markup {
    let all = [
        Status::Succeeded,
        Status::Retried,
        Status::Running,
        Status::WaitingForDevice,
        Status::Caught,
        Status::Failed,
    ];
    html! {
        div.legend role="note" aria-label="Marks" {
            @for status in all { span { (status.mark()) (status.word()) } }
        }
    }
}

/// A state's type with a capital, such as `Task state`.
fn kind_words(kind: &str) -> String {
    format!("{} state", capital(kind))
}

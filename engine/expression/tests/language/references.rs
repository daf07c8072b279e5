use holdfast_expression::{Environment, Index, Program, Segment, Type};

fn environment() -> Environment {
    let roots = ["parameters", "facts", "rules", "each", "self"];
    roots
        .into_iter()
        .fold(Environment::new().yaml(crate::decode), |environment, root| {
            environment.root(root, Type::Dyn)
        })
}

/// Each reference as text: `.field`, `[0]`, `["key"]`, `[*]` where it is dynamic, and a `?` after what must be there.
fn references(source: &str) -> Vec<String> {
    let program = Program::compile(source, &environment()).unwrap();
    let shown = program.references().iter().map(|reference| {
        let mut text = String::new();
        for (place, segment) in reference.path.iter().enumerate() {
            if reference.guarded && place == reference.required {
                text.push('?');
            }
            let step = match segment {
                Segment::Field(name) if place == 0 => name.clone(),
                Segment::Field(name) => format!(".{name}"),
                Segment::Index(Index::Int(int)) => format!("[{int}]"),
                Segment::Index(Index::String(name)) => format!("[{name:?}]"),
                Segment::Dynamic => "[*]".to_owned(),
            };
            text.push_str(&step);
        }
        text
    });
    shown.collect()
}

#[test]
fn a_reference_is_the_longest_path() {
    assert_eq!(
        references("facts.cluster.id + facts.cluster.tags[0]['key'].x"),
        ["facts.cluster.id", "facts.cluster.tags[0][\"key\"].x"]
    );
    assert_eq!(references("facts"), ["facts"]);
    assert_eq!(references("1 + 2"), Vec::<String>::new());
    assert_eq!(references("yaml(facts.a).b"), ["facts.a"]);
    assert_eq!(references("(facts.a).b"), ["facts.a.b"]);
    assert_eq!(references("(true ? facts.a : facts.b).c"), ["facts.a", "facts.b"]);
}

#[test]
fn a_computed_index_is_dynamic_and_gives_its_own_reference() {
    assert_eq!(
        references("rules.bucket[each.key].name"),
        ["rules.bucket[*].name", "each.key"]
    );
}

#[test]
fn what_may_be_absent_is_guarded() {
    assert_eq!(references("has(facts.a.b)"), ["facts?.a.b"]);
    assert_eq!(references("facts.a.?b.c"), ["facts.a?.b.c"]);
    assert_eq!(
        references("facts.?a.?b.orValue(facts.c)"),
        ["facts?.a.b", "facts.c"]
    );
    assert_eq!(references("facts[?'a']"), ["facts?[\"a\"]"]);
    assert_eq!(
        references("has(rules.x[each.key].y)"),
        ["rules?.x[*].y", "each.key"]
    );
}

#[test]
fn macro_variables_stand_for_elements_of_what_is_looped_over() {
    assert_eq!(
        references("facts.buckets.filter(b, !('x' in b.?tags.orValue({})))"),
        ["facts.buckets", "facts.buckets[*]?.tags"]
    );
    assert_eq!(
        references("facts.buckets.filter(b, b.size > 1).map(c, c.name)"),
        ["facts.buckets", "facts.buckets[*].size", "facts.buckets[*].name"]
    );
    assert_eq!(
        references("facts.labels.transformMap(k, v, v.x + k)"),
        ["facts.labels", "facts.labels[*].x"]
    );
    assert_eq!(
        references("facts.?list.orValue([]).all(x, x.y)"),
        ["facts?.list", "facts?.list[*].y"]
    );
    assert_eq!(
        references("cel.bind(c, facts.cluster, c.id + c.name)"),
        ["facts.cluster", "facts.cluster.id", "facts.cluster.name"]
    );
    assert_eq!(references("facts.?a.optMap(x, x.b)"), ["facts?.a", "facts?.a.b"]);
}

#[test]
fn macro_variables_hide_roots_and_are_no_references() {
    assert_eq!(references("[{'x': 1}].map(facts, facts.x)"), Vec::<String>::new());
    assert_eq!(references("[1].map(x, facts.y)"), ["facts.y"]);
}

#[test]
fn references_come_in_order_with_their_places() {
    let source = "has(self.b) && self.a == facts.c";
    let program = Program::compile(source, &environment()).unwrap();
    let places: Vec<&str> = program
        .references()
        .iter()
        .map(|reference| reference.span.text(source))
        .collect();
    assert_eq!(places, ["self.b", "self.a", "facts.c"]);
}

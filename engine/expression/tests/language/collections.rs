use crate::gives;

#[test]
fn lists_and_maps_are_equal_when_all_in_them_is() {
    gives(&[
        ("[1, [2.0]] == [1.0, [2]]", "true"),
        ("[1, 2] == [2, 1]", "false"),
        ("[1] == [1, 2]", "false"),
        ("{'a': 1, 'b': [2]} == {'b': [2.0], 'a': 1.0}", "true"),
        ("{'a': 1} == {'a': 2}", "false"),
        ("{'a': 1} == {'b': 1}", "false"),
        ("{} == {}", "true"),
        ("[null] == [null]", "true"),
    ]);
}

#[test]
fn in_looks_for_an_element_or_a_key() {
    gives(&[
        ("2 in [1, 2]", "true"),
        ("2.0 in [1, 2]", "true"),
        ("3 in [1, 2]", "false"),
        ("'1' in [1]", "false"),
        ("'a' in {'a': 1}", "true"),
        ("1 in {'a': 1}", "false"),
        ("[1] in [[1], [2]]", "true"),
        ("1.0 in {1: 'x'}", "true"),
        ("'a' in dyn('abc')", "Type"),
        ("null in [null]", "true"),
        ("1.5 in {1: 'x'}", "false"),
    ]);
}

#[test]
fn elements_are_reached_by_index_and_key() {
    gives(&[
        ("[1, 2][1]", "2"),
        ("[1, 2][1.0]", "2"),
        ("[1][1]", "Missing { path: \"[1][1]\" }"),
        ("[1][-1]", "Index"),
        ("dyn([1])['a']", "Type"),
        ("{'a': {'b': 1}}.a.b", "1"),
        ("{'a b': 1}['a b']", "1"),
        ("{1: 'x'}[1]", "\"x\""),
        ("{1: 'x'}[1.0]", "\"x\""),
        ("{true: 'x'}[true]", "\"x\""),
        ("{'a': 1}.`a`", "1"),
        ("{'x/y-z.w': 1}.`x/y-z.w`", "1"),
        ("dyn({'a': 1})[1.5]", "Missing { path: \"dyn({'a': 1})[1.5]\" }"),
        ("dyn('x').y", "Type"),
        ("dyn(1)[0]", "Type"),
    ]);
}

#[test]
fn maps_are_in_key_order_always() {
    gives(&[
        ("{'b': 1, 'a': 2}", "{\"a\": 2, \"b\": 1}"),
        ("{'b': 1, 'a': 2}.map(k, k)", "[\"a\", \"b\"]"),
        (
            "{2: 'x', 10: 'y', 'z': 1, true: 0}",
            "{true: 0, 2: \"x\", 10: \"y\", \"z\": 1}",
        ),
    ]);
}

#[test]
fn a_key_that_is_there_twice_is_an_error() {
    gives(&[
        ("{'a': 1, 'a': 2}", "Argument"),
        ("{1: 'x', dyn(1): 'y'}", "Argument"),
        ("{dyn(1.5): 1}", "Type"),
    ]);
}

#[test]
fn lists_and_maps_have_a_size() {
    gives(&[
        ("[1, 2].size()", "2"),
        ("size({})", "0"),
        ("{'a': 1}.size()", "1"),
        ("size([])", "0"),
    ]);
}

#[test]
fn lists_join_with_plus() {
    gives(&[
        ("[1] + [2, 3]", "[1, 2, 3]"),
        ("[] + []", "[]"),
        ("facts.numbers + [4]", "[3, 1, 2, 4]"),
    ]);
}

#[test]
fn numbers_of_a_list_are_summed_and_compared() {
    gives(&[
        ("[1, 2, 3].sum()", "6"),
        ("[1, 2.5].sum()", "3.5"),
        ("[].sum()", "0"),
        ("[duration('1m'), duration('30s')].sum()", "90s"),
        ("['a'].sum()", "Argument"),
        ("[9223372036854775807, 1].sum()", "Overflow"),
        ("[3, 1, 2].min()", "1"),
        ("[3, 1, 2].max()", "3"),
        ("['b', 'a'].min()", "\"a\""),
        ("[1, 0.5].min()", "0.5"),
        ("[].min()", "Argument"),
        ("[1, 'a'].max()", "Type"),
    ]);
}

#[test]
fn sorting_keeps_equal_elements_in_place() {
    gives(&[
        ("[3, 1, 2].sort()", "[1, 2, 3]"),
        ("[2, 1.5, 1]. sort()", "[1, 1.5, 2]"),
        ("[1.0, 1].sort()", "[1, 1]"),
        ("['b', 'a'].sort()", "[\"a\", \"b\"]"),
        ("[1, 'a'].sort()", "Type"),
        ("[0.0/0.0, 1].sort()", "Type"),
        ("[[1]].sort()", "Type"),
        ("[].sort()", "[]"),
        ("[1, 2, 2].isSorted()", "true"),
        ("[2, 1].isSorted()", "false"),
        ("[].isSorted()", "true"),
        ("[true, false].sort()", "[false, true]"),
    ]);
}

#[test]
fn lists_are_cut_reversed_flattened_and_made_distinct() {
    gives(&[
        ("[1, 2, 3].slice(1, 3)", "[2, 3]"),
        ("[1].slice(0, 0)", "[]"),
        ("[1].slice(1, 0)", "Index"),
        ("[1].slice(0, 2)", "Index"),
        ("[1].slice(-1, 1)", "Index"),
        ("[1, 2].reverse()", "[2, 1]"),
        ("[[1], [2, [3]], 4].flatten()", "[1, 2, [3], 4]"),
        ("[[1], [2, [3]]].flatten(2)", "[1, 2, 3]"),
        ("[[1]].flatten(0)", "[[1]]"),
        ("[1].flatten(-1)", "Argument"),
        ("[1, 2, 1.0, 'a', 'a'].distinct()", "[1, 2, \"a\"]"),
        ("[1, 2, 1].indexOf(1)", "0"),
        ("[1, 2, 1].lastIndexOf(1)", "2"),
        ("[1].indexOf(2)", "-1"),
        ("lists.range(3)", "[0, 1, 2]"),
        ("lists.range(0)", "[]"),
        ("lists.range(-1)", "Argument"),
        ("[1, 2].first().value()", "1"),
        ("[1, 2].last().value()", "2"),
        ("[].first().hasValue()", "false"),
        ("facts.empty.last().orValue(7)", "7"),
    ]);
}

#[test]
fn merge_is_shallow_and_the_right_side_wins() {
    gives(&[
        (
            "merge({'a': 1, 'b': {'x': 1}}, {'b': {'y': 2}, 'c': 3})",
            "{\"a\": 1, \"b\": {\"y\": 2}, \"c\": 3}",
        ),
        ("merge({}, {})", "{}"),
    ]);
}

#[test]
fn tags_become_a_map() {
    gives(&[
        (
            "toMap([{'key': 'a', 'value': 1}, {'key': 'b', 'value': 2}])",
            "{\"a\": 1, \"b\": 2}",
        ),
        ("toMap([])", "{}"),
        ("toMap([{'key': 'a'}])", "Argument"),
        ("toMap(['a'])", "Argument"),
        ("toMap([{'key': 1, 'value': 1}])", "Argument"),
        ("toMap(facts.cluster.?tags.orValue([]))", "{\"team\": \"a\"}"),
        (
            "toMap([{'key': 'a', 'value': 1}, {'key': 'a', 'value': 2}])",
            "{\"a\": 2}",
        ),
    ]);
}

#[test]
fn labels_for_google_cloud_are_short_and_plain() {
    gives(&[
        (
            "gcpLabels({'velero.io/Backup Location': 'Défault!!X'})",
            "{\"velero-io-backup-location\": \"d-fault-x\"}",
        ),
        ("gcpLabels({'a': 'a--b__c'})", "{\"a\": \"a--b__c\"}"),
        ("gcpLabels({'a.': '1', 'a/': '2'})", "Argument"),
        ("gcpLabels({'a': 1})", "Argument"),
        (
            "gcpLabels({'k': 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggXXX'}).k.size()",
            "63",
        ),
    ]);
}

#[test]
fn omit_leaves_its_place_out() {
    gives(&[
        ("[1, omit(), 2]", "[1, 2]"),
        ("{'a': omit(), 'b': 1}", "{\"b\": 1}"),
        ("[1, 2, 3].map(x, x == 2 ? omit() : x)", "[1, 3]"),
        ("omit()", "omit()"),
        ("true ? omit() : 1", "omit()"),
        ("{'a': 1}.transformMap(k, v, omit())", "{}"),
        ("omit() == 1", "Type"),
        ("size(omit())", "Type"),
    ]);
}

#[test]
fn optional_elements_and_entries_are_there_only_with_a_value() {
    gives(&[
        ("[?facts.?nope, ?facts.?cluster.?id, 1]", "[\"demo-x7k2p\", 1]"),
        ("{?'a': facts.?nope, ?'b': optional.of(1)}", "{\"b\": 1}"),
        ("[?dyn(1)]", "Type"),
        ("{?'a': dyn(1)}", "Type"),
    ]);
}

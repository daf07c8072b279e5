use crate::gives;

#[test]
fn an_error_is_absorbed_on_either_side_of_or() {
    gives(&[
        ("true || 1/0 == 1", "true"),
        ("1/0 == 1 || true", "true"),
        ("false || 1/0 == 1", "DivideByZero"),
        ("1/0 == 1 || false", "DivideByZero"),
        ("1/0 == 1 || false || true", "true"),
        ("dyn('x') || true", "true"),
        ("dyn('x') || false", "Type"),
    ]);
}

#[test]
fn an_error_is_absorbed_on_either_side_of_and() {
    gives(&[
        ("false && 1/0 == 1", "false"),
        ("1/0 == 1 && false", "false"),
        ("true && 1/0 == 1", "DivideByZero"),
        ("1/0 == 1 && true", "DivideByZero"),
        ("1/0 == 1 && true && false", "false"),
        ("facts.nope && false", "false"),
    ]);
}

#[test]
fn of_two_errors_the_first_is_raised() {
    gives(&[
        ("1/0 == 1 || facts.empty[0]", "DivideByZero"),
        (
            "facts.empty[0] && 1/0 == 1",
            "Missing { path: \"facts.empty[0]\" }",
        ),
    ]);
}

#[test]
fn and_binds_stronger_than_or() {
    gives(&[
        ("true || false && false", "true"),
        ("(true || false) && false", "false"),
        ("!true || true", "true"),
        ("!(true || true)", "false"),
    ]);
}

#[test]
fn a_condition_evaluates_one_branch_only() {
    gives(&[
        ("true ? 1 : 1/0", "1"),
        ("false ? 1/0 : 2", "2"),
        ("true ? false ? 1 : 2 : 3", "2"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("1/0 == 1 ? 1 : 1", "DivideByZero"),
        ("dyn(1) ? 1 : 2", "Type"),
    ]);
}

#[test]
fn running_out_of_budget_is_never_absorbed() {
    let hostile = "true";
    let mut budget = holdfast_expression::Budget {
        steps: 20,
        bytes: 1000,
    };
    let source = format!("lists.range(100).all(x, x >= 0) || {hostile}");
    let error = crate::evaluate_in(&source, &crate::scope(), &mut budget).unwrap_err();
    assert_eq!(error.kind, holdfast_expression::ErrorKind::Budget);
}

use crate::gives;

#[test]
fn quantities_compare_by_amount() {
    gives(&[
        ("quantity('1000m') == quantity('1')", "true"),
        ("quantity('500Mi') < quantity('1Gi')", "true"),
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", "true"),
        ("quantity('1').isLessThan(quantity('2'))", "true"),
        ("quantity('1').compareTo(quantity('2'))", "-1"),
        ("quantity('1').compareTo(quantity('1000m'))", "0"),
        ("isQuantity('1.5Gi')", "true"),
        ("isQuantity('1gi')", "false"),
        ("quantity('x')", "Conversion"),
        ("quantity(string('x'))", "Conversion"),
    ]);
}

#[test]
fn quantities_add_and_convert() {
    gives(&[
        ("quantity('1Gi').add(quantity('1Gi'))", "2Gi"),
        ("quantity('1').sub(quantity('500m'))", "500m"),
        ("quantity('1').add(2)", "3"),
        ("quantity('2').sub(3)", "-1"),
        ("quantity('2k').asInteger()", "2000"),
        ("quantity('1500m').asInteger()", "Conversion"),
        ("quantity('2').isInteger()", "true"),
        ("quantity('500m').asApproximateFloat()", "0.5"),
        ("double(quantity('500m'))", "0.5"),
        ("quantity('-1').sign()", "-1"),
        ("quantity('0').sign()", "0"),
    ]);
}

//! What transactions cost, held against the checked-in costs.

use std::{fs, path::Path};

use nunet::contracts::costs::{Row, budget, fit, marks::judge, measure};
use nunet_tests::finish;

/// Every transaction of the table is made and confirmed here, as `nunet contracts costs` does.
#[tokio::test(flavor = "multi_thread")]
async fn every_mark_is_met_and_no_cost_grows_unnoticed() {
    let mut shown = |row: &Row| println!("{}", row.to_text());
    let (rows, world) = measure(&mut shown).await.unwrap();
    finish(world).await;
    let series: Vec<&Row> = rows.iter().filter(|row| row.transaction.starts_with("settle, series")).collect();
    for cost in fit::Cost::ALL {
        let line = fit::Fit::of(&series, cost).unwrap();
        assert!(line.r_squared > 0.999 && line.slope > 0.0, "a settlement's {} is no line: {line:?}", cost.name());
    }
    let broken: Vec<String> =
        judge(&rows).iter().filter(|judged| !judged.is_kept()).map(|judged| judged.to_text()).collect();
    assert!(broken.is_empty(), "marks that are not met:\n{}", broken.join("\n"));
    if std::env::var_os("NUNET_BLESS").is_some_and(|bless| bless == "1") {
        let table: String = rows.iter().map(|row| format!("{}\n", row.to_json())).collect();
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../validators/costs.jsonl"), table).unwrap();
        return;
    }
    let budgets = budget::parse(budget::BUDGETS).unwrap();
    let excesses: Vec<String> = budget::compare(&rows, &budgets).iter().map(ToString::to_string).collect();
    assert!(excesses.is_empty(), "{}\n{}", excesses.join("\n"), budget::BLESS);
    let gone = budgets.iter().find(|budget| rows.iter().all(|row| row.transaction != budget.transaction));
    assert_eq!(gone, None, "a transaction is no longer measured; {}", budget::BLESS);
}

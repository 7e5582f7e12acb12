//! Migrations build indexes on existing tables concurrently: `CREATE INDEX` locks out every write until it ends. They add
//! constraints to existing tables as `NOT VALID`, to be validated by a later migration: the check of all rows would keep
//! everyone out until it ends.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// Migrations up to this one were released before the rule.
const LAST_EXEMPT: u32 = 16;

/// The first line of a migration that sqlx runs outside of a transaction.
const NO_TRANSACTION: &str = "-- no-transaction";

/// Checks every migration that the rule holds for.
pub(super) fn check(migrations: &Path) -> Result<String> {
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(migrations)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_sql = path.extension().is_some_and(|extension| extension == "sql");
        let Some((number, _)) = name.split_once('_').filter(|_| is_sql) else {
            continue;
        };
        let number: u32 = number
            .parse()
            .with_context(|| format!("the number of {name}"))?;
        if number > LAST_EXEMPT {
            let sql = std::fs::read_to_string(&path)?;
            faults.extend(
                self::faults(&sql)
                    .into_iter()
                    .map(|fault| format!("{name}: {fault}")),
            );
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(String::new())
}

fn faults(sql: &str) -> Vec<String> {
    let statements = statements(sql);
    let made: Vec<&str> = statements
        .iter()
        .filter_map(|words| created_table(words))
        .collect();
    let mut faults = Vec::new();
    for words in &statements {
        if let Some((table, actions)) = altered_table(words)
            && !made.contains(&table)
        {
            if actions.iter().any(|action| checks_rows(action)) {
                faults.push(format!(
                    "a constraint on {table} is checked under a lock: add it as NOT VALID"
                ));
            }
            if statements
                .iter()
                .any(|words| ["update", "delete"].contains(&words[0].as_str()))
            {
                faults.push(format!(
                    "rows are changed while {table} is locked: do it in a migration of its own"
                ));
            }
        }
        let Some(index) = created_index(words) else {
            continue;
        };
        let is_retried =
            sql.starts_with(NO_TRANSACTION) && statements.len() == 1 && index.if_not_exists;
        if !index.is_concurrent && !made.contains(&index.table.as_str()) {
            faults.push(format!(
                "the index on {} locks out writes: CREATE INDEX CONCURRENTLY, in a migration of its own that begins with \
                 `{NO_TRANSACTION}`",
                index.table
            ));
        } else if index.is_concurrent && !is_retried {
            faults.push(format!(
                "the concurrent index on {} needs a migration with `{NO_TRANSACTION}` as its first line, this one \
                 statement, and IF NOT EXISTS",
                index.table
            ));
        }
    }
    faults
}

/// The statements as words in lower case, without comments. No migration has a semicolon or a comment in a literal.
fn statements(sql: &str) -> Vec<Vec<String>> {
    let code: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let spaced = code.to_lowercase().replace('(', " ( ");
    let words = |statement: &str| {
        statement
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    spaced
        .split(';')
        .map(words)
        .filter(|words| !words.is_empty())
        .collect()
}

fn created_table(words: &[String]) -> Option<&str> {
    match words {
        [create, table, rest @ ..] if create == "create" && table == "table" => rest
            .iter()
            .map(String::as_str)
            .find(|word| !["if", "not", "exists"].contains(word)),
        _ => None,
    }
}

/// The table that the statement alters, and what it does to it.
fn altered_table(words: &[String]) -> Option<(&str, Vec<String>)> {
    let [alter, table, rest @ ..] = words else {
        return None;
    };
    let is_name = |word: &String| !["if", "exists", "only"].contains(&word.as_str());
    let name = rest
        .iter()
        .position(is_name)
        .filter(|_| alter == "alter" && table == "table")?;
    Some((&rest[name], actions(&rest[name + 1..].join(" "))))
}

/// The actions of one `ALTER TABLE`, which are separated by commas outside of parentheses.
fn actions(text: &str) -> Vec<String> {
    let (mut depth, mut actions) = (0_i32, vec![String::new()]);
    for letter in text.chars() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        match (letter, actions.last_mut()) {
            (',', _) if depth == 0 => actions.push(String::new()),
            (_, Some(action)) => action.push(letter),
            (_, None) => {}
        }
    }
    actions
}

/// Whether the action checks every row that there is.
fn checks_rows(action: &str) -> bool {
    let words: Vec<&str> = action.split_whitespace().collect();
    let has = |phrase: &[&str]| words.windows(phrase.len()).any(|some| some == phrase);
    match words.as_slice() {
        [
            "add",
            "constraint" | "check" | "foreign" | "unique" | "primary" | "exclude",
            ..,
        ] => !has(&["not", "valid"]),
        ["add", ..] => has(&["default"]) && has(&["references"]),
        ["alter", ..] => has(&["set", "not", "null"]),
        _ => false,
    }
}

struct Index {
    table: String,
    is_concurrent: bool,
    if_not_exists: bool,
}

fn created_index(words: &[String]) -> Option<Index> {
    let rest = words.strip_prefix(&["create".to_owned()])?;
    let rest = rest.strip_prefix(&["unique".to_owned()]).unwrap_or(rest);
    let rest = rest.strip_prefix(&["index".to_owned()])?;
    let on = rest.iter().position(|word| word == "on")?;
    let table = rest[on + 1..].iter().find(|word| *word != "only")?;
    Some(Index {
        table: table.clone(),
        is_concurrent: rest[..on].contains(&"concurrently".to_owned()),
        if_not_exists: rest[..on].contains(&"exists".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_on_an_existing_table_has_to_be_built_concurrently() {
        assert_eq!(
            faults("ALTER TABLE a ADD b int;\n-- why\nCREATE UNIQUE INDEX a_b ON a (b);").len(),
            1
        );
        assert_eq!(faults("create index on ONLY a(b) where b > 1").len(), 1);
        assert!(
            faults("CREATE TABLE IF NOT EXISTS a (b int);\nCREATE INDEX a_b ON a (b);").is_empty()
        );
        assert!(faults("-- CREATE INDEX a_b ON a (b);\nSELECT 1").is_empty());
    }

    #[test]
    fn a_constraint_on_an_existing_table_is_validated_later() {
        let constraint = "ALTER TABLE ONLY a ADD CONSTRAINT c FOREIGN KEY (b) REFERENCES d";
        assert_eq!(faults(constraint).len(), 1);
        assert!(faults(&format!("{constraint} NOT VALID;")).is_empty());
        assert!(faults(&format!("CREATE TABLE a (b int); {constraint}")).is_empty());
        assert!(
            faults("ALTER TABLE a VALIDATE CONSTRAINT c; ALTER TABLE a DROP CONSTRAINT e")
                .is_empty()
        );
        let second = "ALTER TABLE a ADD CONSTRAINT c CHECK (b IN (1, 2)) NOT VALID";
        assert!(faults(second).is_empty());
        assert_eq!(faults(&format!("{second}, ADD CHECK (b > 1)")).len(), 1);
        assert_eq!(faults("ALTER TABLE a ALTER COLUMN b SET NOT NULL").len(), 1);
        assert_eq!(
            faults("ALTER TABLE a ADD COLUMN b int DEFAULT 1 REFERENCES c").len(),
            1
        );
        assert!(faults("ALTER TABLE a ADD COLUMN b int REFERENCES c").is_empty());
    }

    #[test]
    fn rows_are_changed_where_no_table_is_locked() {
        assert_eq!(
            faults("ALTER TABLE a ADD COLUMN b int; UPDATE a SET b = 1").len(),
            1
        );
        assert!(
            faults("CREATE TABLE a (b int); ALTER TABLE a ADD c int; UPDATE a SET b = 1")
                .is_empty()
        );
        assert!(faults("UPDATE a SET b = 1").is_empty());
    }

    #[test]
    fn a_concurrent_index_stands_alone_and_can_be_tried_again() {
        let index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_b ON a (b);";
        assert!(faults(&format!("-- no-transaction\n{index}\n")).is_empty());
        assert_eq!(faults(index).len(), 1, "sqlx would begin a transaction");
        assert_eq!(
            faults(&format!("-- no-transaction\n{index}\nSELECT 1;")).len(),
            1
        );
        assert_eq!(
            faults("-- no-transaction\nCREATE INDEX CONCURRENTLY a_b ON a (b);").len(),
            1
        );
    }
}

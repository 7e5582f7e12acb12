use uuid::Uuid;

use super::budget::{MAX_OF_ACCOUNT, MAX_UNITS};
use super::meter::WINDOW;
use super::*;

const PART: usize = PART_CHUNKS as usize;

fn account(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn spare(transfers: &Transfers) -> usize {
    transfers.budget().spare.len()
}

/// Takes every unit, by parts of two accounts.
async fn take_all(transfers: &Transfers) -> Vec<(Transfer, Room)> {
    let mut taken = Vec::new();
    for number in 0..MAX_UNITS / PART_UNITS {
        let transfer = transfers.begin(account(number as u128 % 2));
        let room = transfer.room(PART).await.expect("there is room");
        taken.push((transfer, room));
    }
    assert_eq!(transfers.budget().used(), MAX_UNITS);
    taken
}

#[tokio::test]
async fn a_part_fills_the_memory_of_the_one_before() {
    let transfers = Transfers::default();
    let transfer = transfers.begin(account(1));
    let mut room = transfer.room(PART).await.expect("there is room");
    room.bytes.extend_from_slice(b"of the one before");
    let memory = room.bytes.as_ptr();
    drop(room);
    let next = transfer.room(PART).await.expect("there is room");
    assert_eq!((next.bytes.as_ptr(), next.bytes.len()), (memory, 0));
}

#[tokio::test]
async fn no_more_is_kept_than_those_under_way_need() {
    let transfers = Transfers::default();
    let (one, other) = (transfers.begin(account(1)), transfers.begin(account(1)));
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.push(one.room(PART).await.expect("there is room"));
    }
    drop(rooms);
    assert_eq!(spare(&transfers), 4);
    drop(other);
    assert_eq!(spare(&transfers), 2);
    let on_its_way = one.room(PART).await.expect("there is room");
    drop(one);
    drop(on_its_way);
    assert_eq!(spare(&transfers), 0);
    assert_eq!(transfers.budget().used(), 0);
}

#[tokio::test]
async fn a_small_upload_takes_a_unit_and_a_large_one_a_part() {
    let transfers = Transfers::default();
    let transfer = transfers.begin(account(1));
    let small = transfer.room(2).await.expect("there is room");
    assert_eq!(transfers.budget().used(), 1);
    let large = transfer.room(UNIT + 1).await.expect("there is room");
    drop(small);
    assert_eq!(transfers.budget().used(), PART_UNITS);
    drop(large);
    let next = transfer.room(2).await.expect("there is room");
    assert_eq!(
        next.size,
        RoomSize::Part,
        "an upload of several parts gets a whole one at once"
    );
}

#[tokio::test]
async fn no_memory_exists_without_its_units() {
    let transfers = Transfers::default();
    let taken = take_all(&transfers).await;
    for (_, room) in &taken {
        room.keep();
    }
    let late = transfers.begin(account(7));
    let refused = late.room(2).await.map(drop);
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    assert_eq!(transfers.budget().used(), MAX_UNITS);
    drop(taken);
    late.room(2).await.expect("there is room again");
}

#[tokio::test]
async fn an_account_leaves_units_to_the_others() {
    let transfers = Transfers::default();
    let greedy = transfers.begin(account(1));
    let mut rooms = Vec::new();
    for _ in 0..MAX_OF_ACCOUNT / PART_UNITS {
        rooms.push(greedy.room(PART).await.expect("there is room"));
    }
    rooms.iter().for_each(Room::keep);
    let other = transfers.begin(account(2));
    let (one_more, of_other) = tokio::join!(greedy.room(PART), other.room(PART));
    assert!(matches!(one_more.map(drop), Err(Error::Busy { .. })));
    of_other.expect("there is room");
}

#[tokio::test]
async fn the_slowest_upload_gives_its_memory_up_while_another_one_waits() {
    let transfers = Transfers::default();
    let taken = take_all(&transfers).await;
    // Nobody waits: the slowest may keep it.
    tokio::time::sleep(2 * WINDOW).await;
    let (fast, slow) = taken.split_first().expect("there are some");
    fast.1.count(8 * 1024 * 1024).expect("is kept");
    assert!(slow.iter().all(|(_, room)| room.count(1).is_ok()));
    let honest = transfers.begin(account(7));
    let mut taken: Vec<_> = taken.into_iter().map(Some).collect();
    let giving_up = async {
        let preempted = taken
            .iter()
            .map(|each| Box::pin(each.as_ref().expect("is there").1.preempted()));
        let (error, index, _) = futures_util::future::select_all(preempted).await;
        assert!(matches!(error, Error::Busy { .. }));
        assert!(index > 0, "the fastest keeps it");
        taken[index] = None;
    };
    let begun = Instant::now();
    let (room, ()) = tokio::join!(honest.room(2), giving_up);
    room.expect("there is room");
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    let kept = taken
        .iter()
        .flatten()
        .filter(|(_, room)| room.count(1).is_ok())
        .count();
    assert_eq!(kept, MAX_UNITS / PART_UNITS - 1, "one was enough");
}

#[tokio::test]
async fn who_leaves_the_queue_leaves_no_units_behind() {
    let transfers = Transfers::default();
    let taken = take_all(&transfers).await;
    let late = transfers.begin(account(7));
    let waited = timeout(Duration::from_millis(50), late.room(PART)).await;
    assert!(waited.is_err(), "it waits");
    drop(taken);
    assert_eq!(transfers.budget().used(), 0);
}

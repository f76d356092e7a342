//! The rules of the protocol, each as what is done when it is broken.

/// One rule, broken on purpose. Each says what is done wrong, and where the rule is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Broken {
    // Which pages may be written.
    /// The writer does not count the durable root among the pinned ones. Kept by `Shared::pins`
    /// (`src/pager/shared.rs`).
    DurableNotPinned,
    /// The writer does not count the head among the pinned ones: a leader may capture it later, and the
    /// writer's next transaction reuse what the head needs. Kept by `Shared::pins`.
    HeadNotPinned,
    /// The writer does not count the captured root among the pinned ones. Kept by `Shared::pins`.
    CapturedNotPinned,
    /// The leader says what it has captured when it writes the meta page, not when it reads the head. Kept by
    /// `Pager::sync_to`, step 2 (`src/pager/sync.rs`).
    CapturedPinnedLate,
    /// What a leader had captured is forgotten when it is killed, though its meta page may be on the disk.
    /// For several processes; in one, `Pager::unknown` (`src/pager/sync.rs`) keeps the capture after a failed
    /// sync.
    CaptureLostWithLeader,
    /// The writer's scan reads the durable root before the captured one, and misses a root that goes from one
    /// to the other between. Kept by `Shared::pins`.
    ScanReadsDurableBeforeCaptured,
    /// The writer's scan reads the readers' slots before the roots, and misses a reader that comes between.
    /// Kept by `Shared::pins`, with its fence.
    ScanReadsSlotsFirst,
    /// The leader clears its capture before it sets the durable root. Kept by `Pager::sync_to`, step 5.
    CaptureClearedBeforeDurable,
    /// The leader sets the visible root before the durable one. If it is killed between, the next leader
    /// writes over the meta page of what is visible. For several processes. Kept by `Pager::sync_to`, step 5.
    VisibleSetBeforeDurable,
    /// A reader does not look whether its root is still visible after it has published it. Kept by
    /// `Shared::begin_read`.
    ReaderDoesNotLookAgain,
    /// What a transaction frees is reused at once, whatever root needs it. Kept by `Space::add`
    /// (`src/pager/space.rs`) and `Commit::begin` (`src/pager/commit.rs`).
    FreedPageReusedAtOnce,

    // What readers see.
    /// An immediate commit is visible before its sync has ended. Kept by `Pager::publish`.
    ImmediateVisibleAtOnce,
    /// A buffered commit is visible at once, though an immediate one before it is not. Kept by
    /// `Pager::publish`.
    BufferedVisibleBehindImmediate,
    /// The end of a sync makes buffered commits visible that came after the synced one: nothing has pinned
    /// the last of them all the time. Kept by `Pager::sync_to`, step 5.
    MoreVisibleThanSynced,

    // Meta pages and commit records.
    /// The meta page goes over the durable one. Kept by `Pager::write_meta`.
    MetaIntoDurableSlot,
    /// With two syncs, the meta page names the head of after the first one. Kept by `Pager::sync_to`, step 4.
    MetaOfLaterHead,
    /// The record leaves out what the newest head does not need any more, though the captured root does. Kept
    /// by `Pager::sync_to`, steps 2 and 3: a head never changes (`src/pager/head.rs`).
    RecordOfCurrentHead,
    /// The record also lists pages that were freed again before its root, which may be reused. Kept by
    /// `Head::written_by_next`.
    RecordOfFreedPages,
    /// Opening believes a meta page without looking at its record: as if it were written before the pages.
    /// Kept by `verify_record` (`src/pager/recovery.rs`).
    RecordNotChecked,
    /// An empty record without a sync of the pages before. Kept by `Pager::sync_to`, step 3.
    FirstSyncLeftOut,
    /// With two syncs, the commit counts as durable when its meta page is written. Kept by
    /// `Pager::write_meta`.
    SecondSyncLeftOut,
    /// The sync reaches only as far as the pages of the last durable root. Kept by `Pager::sync`.
    SyncReachesDurablePageCount,
    /// Another meta page is written over the one that a sync is about to make durable. Kept by the leader
    /// lock (`Pager::sync_to`, step 1).
    MetaWhileSyncRuns,

    // Failed syncs.
    /// A sync that has failed is made again, and its success believed: what the first one has left behind
    /// counts as clean, and is not written. Kept by `Pager::unknown`, and by `Storage::sync`, which never
    /// repeats it.
    SyncRepeated,
    /// After a failed sync, the next commit is made as if nothing had been. Kept by `Pager::end_writing`
    /// (`src/pager/mod.rs`).
    WritingGoesOnAfterFailedSync,

    // Transaction numbers.
    /// After a crash, numbers go on from the adopted root's, which may stand on pages that were lost. Kept by
    /// `Writer::new` (`src/pager/writer.rs`): they go on from the ceiling.
    NumbersGoOnFromRoot,
    /// The number of a transaction that was aborted is given again, though it may stand on pages. Kept by
    /// `Txn::start` (`src/pager/txn.rs`).
    NumberOfAbortedGivenAgain,
    /// Numbers up to a new ceiling are given before its meta page is synced. Kept by `Pager::raise_ceiling`.
    CeilingUsedBeforeItsSync,

    // The head record.
    /// A buffered commit becomes visible without one. Kept by `Pager::publish`.
    NoHeadRecord,
    /// It is not written again before a meta page that does not cover its commit. Kept by
    /// `Pager::write_meta`.
    HeadRecordNotWrittenAgain,
    /// It names the durable meta page alone, not the one that is being written. Kept by
    /// `Pager::write_head_record`.
    HeadRecordNamesOnlyDurable,
    /// While a meta page is being written, it names that alone. Kept by `Pager::write_head_record`.
    HeadRecordNamesOnlyNew,
    /// After a leader was killed, the next one lets it name the durable meta page and its own, not the one
    /// that the killed leader has left in the page cache. For several processes.
    HeadRecordForgetsKilledLeader,
    /// When a sync has ended, the head record counts as superseded before the durable root is set: if the
    /// leader is killed between, the next meta page may be of an older root, and the head record is not
    /// written again. For several processes; in one, the end of `Pager::write_meta` cannot be parted from
    /// what follows.
    HeadRecordSettledBeforeDurable,
    /// It is believed because the boot is the same, and no page is looked at. Kept by `newer_head`
    /// (`src/pager/recovery.rs`).
    HeadRecordOnBootAlone,
    /// It is believed whatever meta page it builds on. No page can be another's then, since no number is
    /// given twice; but a commit that an opening gave up, because the file was too short for it, comes back
    /// when the file has grown again. Kept by `newer_head`.
    HeadRecordWithoutBase,
    /// It is believed though the meta page is of a newer commit. Kept by `newer_head`.
    HeadRecordOlderThanMeta,
    /// A transaction that has written a place twice is left to it: births do not tell the two contents apart.
    /// Kept by `Commit::finish` (`src/pager/commit.rs`) and `Txn::rewrote`.
    PageWrittenTwiceLeftToHeadRecord,
    /// The pages behind an adopted one are synced, but not written again: after a failed sync they are in the
    /// page cache alone. Kept by `NewerHead::write_again` (`src/pager/recovery.rs`).
    HeadPagesNotWrittenAgain,

    // Recovery.
    /// What is adopted is synced, but not written again. Kept by `write_again` (`src/pager/recovery.rs`).
    NotWrittenAgain,
    /// The end of the file is not written again, where no page of the record lies there: after a failed sync
    /// the disk may have a shorter file, and the root does not fit into it. Kept by `write_again`.
    EndNotWrittenAgain,
    /// What is adopted from the page cache is not synced. Kept by `write_again`.
    RecoveryDoesNotSync,
    /// Something new (a higher ceiling) goes into the meta page that was adopted. Kept by
    /// `Pager::rewrite_spare`.
    RecoveryChangesInPlace,
    /// After a clean close the older meta page is written over, though the newer one may never have reached
    /// the disk. Kept by `open` (`src/pager/recovery.rs`).
    CleanMetaReliedOn,

    // The end of the file.
    /// The file is cut while a reader's root has pages or free space there. Kept by `Pager::can_cut`
    /// (`src/pager/writer.rs`).
    CutWhileOlderRootIsRead,
    /// The file is cut before the commit that lowered the page count is durable. Kept by `Pager::can_cut`.
    CutBeforeDurable,

    // Belt and braces: no harm was found when one of these alone is broken.
    /// A head record of another boot is believed. Kept by `newer_head`. Redundant, since every page behind it
    /// is verified; it saves looking at them after a power cut.
    HeadRecordOfAnotherBoot,
    /// The older meta page is taken unseen where the newer one does not hold. Kept by `adopt`
    /// (`src/pager/recovery.rs`). Redundant as long as the disk keeps what it has synced: the older one is
    /// then durable, with every page of its record.
    OtherMetaNotVerified,
}

impl Broken {
    /// The rules whose breach must be found.
    pub(super) const HARMFUL: &[Broken] = &[
        Broken::DurableNotPinned,
        Broken::HeadNotPinned,
        Broken::CapturedNotPinned,
        Broken::CapturedPinnedLate,
        Broken::CaptureLostWithLeader,
        Broken::ScanReadsDurableBeforeCaptured,
        Broken::ScanReadsSlotsFirst,
        Broken::CaptureClearedBeforeDurable,
        Broken::VisibleSetBeforeDurable,
        Broken::ReaderDoesNotLookAgain,
        Broken::FreedPageReusedAtOnce,
        Broken::ImmediateVisibleAtOnce,
        Broken::BufferedVisibleBehindImmediate,
        Broken::MoreVisibleThanSynced,
        Broken::MetaIntoDurableSlot,
        Broken::MetaOfLaterHead,
        Broken::RecordOfCurrentHead,
        Broken::RecordOfFreedPages,
        Broken::RecordNotChecked,
        Broken::FirstSyncLeftOut,
        Broken::SecondSyncLeftOut,
        Broken::SyncReachesDurablePageCount,
        Broken::MetaWhileSyncRuns,
        Broken::SyncRepeated,
        Broken::WritingGoesOnAfterFailedSync,
        Broken::NumbersGoOnFromRoot,
        Broken::NumberOfAbortedGivenAgain,
        Broken::CeilingUsedBeforeItsSync,
        Broken::NoHeadRecord,
        Broken::HeadRecordNotWrittenAgain,
        Broken::HeadRecordNamesOnlyDurable,
        Broken::HeadRecordNamesOnlyNew,
        Broken::HeadRecordForgetsKilledLeader,
        Broken::HeadRecordSettledBeforeDurable,
        Broken::HeadRecordOnBootAlone,
        Broken::HeadRecordWithoutBase,
        Broken::HeadRecordOlderThanMeta,
        Broken::PageWrittenTwiceLeftToHeadRecord,
        Broken::HeadPagesNotWrittenAgain,
        Broken::NotWrittenAgain,
        Broken::EndNotWrittenAgain,
        Broken::RecoveryDoesNotSync,
        Broken::RecoveryChangesInPlace,
        Broken::CleanMetaReliedOn,
        Broken::CutWhileOlderRootIsRead,
        Broken::CutBeforeDurable,
    ];

    /// The rules that others make redundant.
    pub(super) const REDUNDANT: &[Broken] = &[Broken::HeadRecordOfAnotherBoot, Broken::OtherMetaNotVerified];
}

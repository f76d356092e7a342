//! The rules of the protocol, each as what is done when it is broken.

/// One rule, broken on purpose. Each says what is done wrong, and where the rule is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Broken {
    // Which pages may be written.
    /// The writer does not count the durable root among the pinned ones. Kept by `Shared::pins`
    /// (`src/pager/shared/mod.rs`).
    DurableNotPinned,
    /// Nor the soft root, which readers may load later. Kept by `Shared::pins`.
    SoftNotPinned,
    /// The writer does not count the head among the pinned ones: a leader may capture it later, and the
    /// writer's next transaction reuse what the head needs. Kept by `Shared::pins`.
    HeadNotPinned,
    /// The writer does not count the captured root among the pinned ones. Kept by `Shared::pins`.
    CapturedNotPinned,
    /// The leader says what it has captured when it writes the meta page, not when it reads the head. Kept by
    /// `Pager::sync_to`, step 2 (`src/pager/sync.rs`).
    CapturedPinnedLate,
    /// The leader does not look whether what it has captured is the head still: the writer may have moved on
    /// and scanned between. Kept by `Shared::capture`.
    CaptureNotLookedAtAgain,
    /// What a leader had captured is forgotten when it is killed, though its meta page may be on the disk.
    /// Kept by `Shared::capture`, which takes room that is free.
    CaptureLostWithLeader,
    /// Where there is no room for another capture, those of killed leaders are forgotten without a sync. Kept
    /// by `Pager::capture`.
    CapturesForgottenUnsynced,
    /// The writer's scan reads the durable root before the captured one, and misses a root that goes from one
    /// to the other between. Kept by `Shared::pins`.
    ScanReadsDurableBeforeCaptured,
    /// The writer's scan reads the readers' slots before the roots, and misses a reader that comes between.
    /// Kept by `Shared::pins`, with its fence.
    ScanReadsSlotsFirst,
    /// The leader clears the captures before it sets the durable root. Kept by `Shared::set_durable`.
    CapturesClearedBeforeDurable,
    /// A reader does not look whether its root is still visible after it has published it. Kept by
    /// `Shared::begin_read`.
    ReaderDoesNotLookAgain,
    /// It looks at the soft root alone. Kept by `Shared::stamp`.
    ReaderLooksAtSoftAlone,
    /// It looks at the durable root alone. Kept by `Shared::stamp`.
    ReaderLooksAtDurableAlone,
    /// The slots of readers are cleared though their process lives. Kept by `Readers::clear_dead`
    /// (`src/pager/shared/readers.rs`).
    LivingReadersCleared,
    /// The writer goes on from the newest commit of its own process. Kept by `Pager::catch_up`
    /// (`src/pager/writer.rs`).
    WriterGoesOnFromOwnHead,
    /// What a transaction frees is reused at once, whatever root needs it. Kept by `Space::add`
    /// (`src/pager/space.rs`) and `Commit::begin` (`src/pager/commit.rs`).
    FreedPageReusedAtOnce,

    // What readers see.
    /// An immediate commit is visible before its sync has ended. Kept by `Pager::publish`.
    ImmediateVisibleAtOnce,
    /// A buffered commit is visible at once, though an immediate one before it is not. Kept by
    /// `Pager::publish`.
    BufferedVisibleBehindImmediate,
    /// A commit is visible before its head record is written: all may be killed between. Kept by
    /// `Pager::publish`.
    SoftSetBeforeHeadRecord,
    /// The head record names what is not the head yet. If the writer is killed between, the next one takes
    /// that commit's pages, and the record that is needed is gone. Kept by `Pager::publish`.
    HeadRecordBeforeHead,
    /// A commit is visible before it is the head: if the writer is killed between, the next one builds on
    /// another. Kept by `Pager::publish`.
    HeadSetAfterSoft,
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
    /// The leader sets the durable root before it says where the durable meta page is. If it is killed
    /// between, the next one writes over that. Kept by `Pager::write_meta`.
    MetaSetAfterDurable,
    /// The leader does not look what others have done as leaders. Kept by `Pager::take_over`.
    LeaderTrustsItsMemory,
    /// Another meta page is written over the one that a sync is about to make durable. Kept by the leader
    /// lock (`Pager::sync_to`, step 1).
    MetaWhileSyncRuns,

    // Killed leaders.
    /// The meta page of a killed leader stays in the page cache. Kept by `Pager::take_over`.
    KilledMetaNotWiped,
    /// Head records name it no more before it is wiped out. Kept by `Pager::take_over`.
    KilledMetaForgottenBeforeWiped,
    /// It counts as wiped out before it is. Kept by `Pager::take_over`.
    KilledMetaFinishedBeforeWiped,
    /// Nothing says that there may be one. Kept by `Pager::write_meta`.
    UnfinishedMetaNotMarked,
    /// It counts as finished before the word says that it is the durable one. Kept by `Pager::write_meta`.
    MetaFinishedBeforeMeta,
    /// The head record names the new meta page alone before the word says that it is the durable one. Kept by
    /// `Pager::write_meta`.
    BasesSettledBeforeMeta,
    /// A sync of which nobody knows how it ended is thought to have ended well, or to have written nothing.
    /// Kept by `Pager::sync_to`, step 3.
    CutShortSyncBelieved,
    /// After such a sync the file is not made longer, where the disk may have a shorter one. Kept by
    /// `Pager::write_again_since`.
    EndNotMadeLonger,
    /// The end of the file is written again as opening does it: a writer may write that page meanwhile. Kept
    /// by `Pager::write_again_since`.
    EndWrittenAgainBesideWriter,
    /// Once a sync has ended well, nothing is in doubt: but a transaction may have written pages before the
    /// one that was cut short, and be committed after. Kept by `Pager::sync_to`, step 3.
    DoubtEndsWithOneSync,

    /// Where a killed leader had made a meta page durable, its root does not become the durable one. Kept by
    /// `Pager::finish_for_others`.
    DurableLeftBehindMeta,
    /// To make room for captures, the header is synced as it is: an earlier sync may have failed to wipe out
    /// the meta page of a killed leader. Kept by `Pager::capture`.
    RoomMadeWithoutWiping,

    // Failed syncs.
    /// A sync that has failed is made again, and its success believed: what the first one has left behind
    /// counts as clean, and is not written. Kept by `Pager::unknown`, and by `Storage::sync`, which never
    /// repeats it.
    SyncRepeated,

    // Transaction numbers.
    /// After a crash, numbers go on from the adopted root's, which may stand on pages that were lost. Kept by
    /// `open_behind_door` (`src/pager/recovery.rs`): they go on from the ceiling.
    NumbersGoOnFromRoot,
    /// The number of a transaction that was aborted is given again, though it may stand on pages. Kept by
    /// `Txn::start` (`src/pager/txn.rs`).
    NumberOfAbortedGivenAgain,
    /// A transaction's number is the head's and one, though a killed writer may have used it. Kept by
    /// `Txn::start`.
    NextIdTakenFromHead,
    /// Numbers up to a new ceiling are given before its meta page is synced. Kept by `Pager::raise_ceiling`.
    CeilingUsedBeforeItsSync,
    /// Who closes lowers the ceiling when the meta page that says so is durable: if it is killed before, and
    /// somebody only reads, the next writer uses numbers that this meta page does not cover. Kept by
    /// `Pager::close`.
    CeilingKeptUntilClosed,

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
    /// It is written without regard to others who write it. Kept by `Meeting::head_record`
    /// (`src/storage/meeting.rs`).
    HeadRecordLockIgnored,
    /// That of a killed writer stays, though its commit never was visible: nobody pins that, and what was
    /// visible before is not found any more. Kept by `Pager::repair_head_record`.
    HeadRecordOfKilledWriterKept,
    /// A process that is killed while it writes it leaves a part of it. Kept by the system, which does not
    /// stop in the middle of a page of its own: `Pager::write_head_record` writes it at once, in one of them.
    HeadRecordTornByKill,
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
    /// page cache alone. Kept by `Walk::read` (`src/pager/walk.rs`).
    HeadPagesNotWrittenAgain,

    // Recovery.
    /// What is adopted is synced, but not written again. Kept by `write_again` (`src/pager/recovery.rs`).
    NotWrittenAgain,
    /// The end of the file is not written again, where no page of the record lies there: after a failed sync
    /// the disk may have a shorter file, and the root does not fit into it. Kept by `write_end_again`
    /// (`src/pager/walk.rs`).
    EndNotWrittenAgain,
    /// What is adopted from the page cache is not synced. Kept by `write_again`.
    RecoveryDoesNotSync,
    /// Something new (a higher ceiling) goes into the meta page that was adopted. Kept by
    /// `Pager::rewrite_spare`.
    RecoveryChangesInPlace,
    /// After a clean close the older meta page is written over, though the newer one may never have reached
    /// the disk. Kept by `open_behind_door`.
    CleanMetaReliedOn,

    // Coming and going.
    /// Who comes to others recovers the file, as if it were alone. Kept by `open_behind_door`.
    JoinerRecovers,
    /// Who joins does not look whether the durable meta page is the same after it has read it. Kept by
    /// `join`.
    JoinerDoesNotLookAgain,
    /// Who closes writes that it was closed in good order, though another can write. Kept by `Pager::close`.
    CleanMetaBesideWriters,

    // The end of the file.
    /// The file is cut while a reader's root has pages or free space there. Kept by `Pager::can_cut`
    /// (`src/pager/writer.rs`).
    CutWhileOlderRootIsRead,
    /// The file is cut before the commit that lowered the page count is durable. Kept by `Pager::can_cut`.
    CutBeforeDurable,
    /// It is cut by what the own process pins alone. Kept by `Shared::pins`.
    CutByOwnPinsAlone,
    /// It is cut behind the newest commit of the own process. Kept by `Pager::cut` (`src/pager/mod.rs`).
    CutBehindOwnHead,

    // Belt and braces: no harm was found when one of these alone is broken.
    /// A head record of another boot is believed. Kept by `newer_head`. Redundant, since every page behind it
    /// is verified; it saves looking at them after a power cut.
    HeadRecordOfAnotherBoot,
    /// The older meta page is taken unseen where the newer one does not hold. Kept by `adopt`
    /// (`src/pager/recovery.rs`). Redundant as long as the disk keeps what it has synced: the older one is
    /// then durable, with every page of its record.
    OtherMetaNotVerified,
    /// Who can write and comes to such as only read recovers the file again, though a writer has before. Kept
    /// by `open_behind_door`.
    RecoversBesideReaders,
    /// After a failed sync, the next commit is made as if nothing had been. Kept by `Pager::end_writing`
    /// (`src/pager/mod.rs`). Redundant since the next leader finds that a sync was cut short, as if the last
    /// one had been killed, and writes again what it may have lost. But who waits for a commit must be told.
    WritingGoesOnAfterFailedSync,
    /// A raise of the ceiling makes it forgotten that a sync was cut short. Kept by `Pager::write_meta`.
    /// Redundant since the word of `Shared::doubted` is set by who finds it, and outlives the note.
    CeilingForgetsCutShort,
}

impl Broken {
    /// The rules whose breach must be found.
    pub(super) const HARMFUL: &[Broken] = &[
        Broken::DurableNotPinned,
        Broken::SoftNotPinned,
        Broken::HeadNotPinned,
        Broken::CapturedNotPinned,
        Broken::CapturedPinnedLate,
        Broken::CaptureNotLookedAtAgain,
        Broken::CaptureLostWithLeader,
        Broken::CapturesForgottenUnsynced,
        Broken::ScanReadsDurableBeforeCaptured,
        Broken::ScanReadsSlotsFirst,
        Broken::CapturesClearedBeforeDurable,
        Broken::ReaderDoesNotLookAgain,
        Broken::ReaderLooksAtSoftAlone,
        Broken::ReaderLooksAtDurableAlone,
        Broken::LivingReadersCleared,
        Broken::WriterGoesOnFromOwnHead,
        Broken::FreedPageReusedAtOnce,
        Broken::ImmediateVisibleAtOnce,
        Broken::BufferedVisibleBehindImmediate,
        Broken::SoftSetBeforeHeadRecord,
        Broken::HeadRecordBeforeHead,
        Broken::HeadSetAfterSoft,
        Broken::MoreVisibleThanSynced,
        Broken::MetaIntoDurableSlot,
        Broken::MetaOfLaterHead,
        Broken::RecordOfCurrentHead,
        Broken::RecordOfFreedPages,
        Broken::RecordNotChecked,
        Broken::FirstSyncLeftOut,
        Broken::SecondSyncLeftOut,
        Broken::SyncReachesDurablePageCount,
        Broken::MetaSetAfterDurable,
        Broken::LeaderTrustsItsMemory,
        Broken::MetaWhileSyncRuns,
        Broken::KilledMetaNotWiped,
        Broken::KilledMetaForgottenBeforeWiped,
        Broken::KilledMetaFinishedBeforeWiped,
        Broken::UnfinishedMetaNotMarked,
        Broken::MetaFinishedBeforeMeta,
        Broken::BasesSettledBeforeMeta,
        Broken::CutShortSyncBelieved,
        Broken::EndNotMadeLonger,
        Broken::EndWrittenAgainBesideWriter,
        Broken::DoubtEndsWithOneSync,
        Broken::DurableLeftBehindMeta,
        Broken::SyncRepeated,
        Broken::NumbersGoOnFromRoot,
        Broken::NumberOfAbortedGivenAgain,
        Broken::NextIdTakenFromHead,
        Broken::CeilingUsedBeforeItsSync,
        Broken::CeilingKeptUntilClosed,
        Broken::NoHeadRecord,
        Broken::HeadRecordNotWrittenAgain,
        Broken::HeadRecordNamesOnlyDurable,
        Broken::HeadRecordNamesOnlyNew,
        Broken::HeadRecordLockIgnored,
        Broken::HeadRecordOfKilledWriterKept,
        Broken::HeadRecordTornByKill,
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
        Broken::JoinerRecovers,
        Broken::CleanMetaBesideWriters,
        Broken::CutWhileOlderRootIsRead,
        Broken::CutBeforeDurable,
        Broken::CutByOwnPinsAlone,
        Broken::CutBehindOwnHead,
    ];

    /// The rules whose breach takes more than random schedules come upon in the time of a test: several kills
    /// and two failed syncs, each at its moment. That they are needed is argued where they are kept.
    pub(super) const ARGUED: &[Broken] = &[Broken::RoomMadeWithoutWiping, Broken::JoinerDoesNotLookAgain];

    /// The rules that others make redundant.
    pub(super) const REDUNDANT: &[Broken] = &[
        Broken::HeadRecordOfAnotherBoot,
        Broken::OtherMetaNotVerified,
        Broken::RecoversBesideReaders,
        Broken::WritingGoesOnAfterFailedSync,
        Broken::CeilingForgetsCutShort,
    ];
}

// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "store/store_test_support.h"

namespace omg {
namespace {

namespace fs = std::filesystem;
using testing::StoreFixture;
using testing::write_test_file;

class StoreGcTest : public StoreFixture {};

constexpr GcOptions kAll{.dry_run = false, .keep_partials = std::chrono::seconds(0)};

TEST_F(StoreGcTest, FreesWhatNoNameNeeds) {
  Store store = open();
  publish(store, "a", {{"x", std::string(100000, 'x')}, {"shared", "s"}});
  publish(store, "b", {{"shared", "s"}});
  EXPECT_TRUE(store.gc(kAll).removed.empty());
  store.remove(StoreName("a"));
  const GcReport dry = store.gc({.dry_run = true});
  ASSERT_EQ(dry.removed.size(), 1u);
  EXPECT_GE(dry.freed_bytes, 100000u);
  EXPECT_EQ(names_in("blobs").size(), 2u);
  const GcReport report = store.gc(kAll);
  EXPECT_EQ(report.freed_bytes, dry.freed_bytes);
  EXPECT_EQ(names_in("blobs").size(), 1u);
  EXPECT_NO_THROW(store.use(StoreName("b")));
}

TEST_F(StoreGcTest, KeepsWhatRunsAndPullsNeed) {
  Store store = open();
  publish(store, "m", {{"x", "running"}});
  UsedModel used = store.use(StoreName("m"));
  const std::string view = store.view(used);
  store.remove(StoreName("m"));
  Lease lease;
  store.put_bytes("pulled", lease);
  auto partial = store.try_lock_partial(PartialKey("u"));
  write_test_file(partial->path(), "half");
  EXPECT_TRUE(store.gc(kAll).removed.empty());
  EXPECT_EQ(testing::read_test_file(view + "/x"), "running");
  {
    const UsedModel gone = std::move(used);
  }
  lease = Lease();
  partial.reset();
  EXPECT_EQ(store.gc(kAll).removed.size(), 4u);  // two blobs, the view's link, the partial
  for (const char* part : {"blobs", "partial", "views", "linked", "temp", "quarantine"}) {
    EXPECT_TRUE(names_in(part).empty()) << part;
  }
}

TEST_F(StoreGcTest, LeasesDieWithTheirProcess) {
  Store store = open();
  publish(store, "m", {{"x", "running"}});
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Store mine = open();
    const UsedModel used = mine.use(StoreName("m"));
    auto partial = mine.try_lock_partial(PartialKey("u"));
    write_test_file(partial->path(), "half");
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  store.remove(StoreName("m"));
  EXPECT_TRUE(store.gc(kAll).removed.empty());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(store.gc(kAll).removed.size(), 2u);
  EXPECT_TRUE(names_in("partial").empty());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(StoreGcTest, KeepsFreshDownloadsThatNobodyWorksOn) {
  Store store = open();
  {
    auto partial = store.try_lock_partial(PartialKey("u"));
    write_test_file(partial->path(), "half");
    write_test_file(partial->path() + ".chunks", "map");
  }
  clock = std::chrono::duration_cast<std::chrono::seconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count();
  EXPECT_TRUE(store.gc().removed.empty());
  EXPECT_TRUE(store.try_lock_partial(PartialKey("u")));
  clock += 25 * 3600;
  EXPECT_EQ(store.gc().removed.size(), 2u);
  EXPECT_TRUE(names_in("partial").empty());
}

TEST_F(StoreGcTest, RemovesNothingWhileAManifestIsDamaged) {
  Store store = open();
  publish(store, "m", {{"x", "bytes"}});
  const std::string path = root() + "/manifests/m.json";
  const std::string good = testing::read_test_file(path);
  write_test_file(path, good.substr(0, good.size() / 2));
  EXPECT_EQ(code_of([&] { store.gc(kAll); }), ErrorCode::kCorrupt);
  EXPECT_EQ(names_in("blobs").size(), 1u);
  write_test_file(path, good);
  EXPECT_TRUE(store.gc(kAll).removed.empty());
}

TEST_F(StoreGcTest, LeavesOthersFilesAlone) {
  Store store = open();
  const std::string path = outside() + "/mine";
  write_test_file(path, "bytes");
  StoredModel model(StoreName("mine"));
  model.artifacts = {store.refer_to_file(path, FileOwner::kUser)};
  store.publish(model);
  Lease lease;
  StoredModel linked(StoreName("linked"));
  linked.artifacts = {store.put_file(path, ImportMode::kHardLink, lease)};
  store.publish(linked);
  lease = Lease();
  EXPECT_TRUE(store.gc(kAll).removed.empty());
  store.remove(StoreName("mine"));
  store.remove(StoreName("linked"));
  const GcReport report = store.gc(kAll);
  EXPECT_EQ(report.removed.size(), 1u);
  EXPECT_EQ(report.freed_bytes, 0u) << "the owner still has the bytes";
  EXPECT_EQ(testing::read_test_file(path), "bytes");
}

class StoreVerifyTest : public StoreFixture {};

TEST_F(StoreVerifyTest, QuarantinesBadBlobsSoThatAPullRepairsThem) {
  Store store = open();
  publish(store, "a", {{"x", "good bytes"}, {"y", "fine"}});
  publish(store, "b", {{"x", "good bytes"}});
  EXPECT_TRUE(store.verify().bad.empty());
  write_test_file(store.blob_path(sha256("good bytes")), "bad bytes!");
  uint64_t last = 0;
  VerifyOptions options;
  options.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GE(total, done);
    last = done;
  };
  const VerifyReport report = store.verify(options);
  EXPECT_EQ(report.files, 2u);
  EXPECT_EQ(report.bytes, 14u);
  EXPECT_EQ(last, 14u);
  ASSERT_EQ(report.bad.size(), 1u);
  EXPECT_TRUE(report.bad[0].quarantined);
  EXPECT_EQ(report.bad[0].models, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(store.has_blob(sha256("good bytes")));
  EXPECT_EQ(names_in("quarantine").size(), 1u);
  EXPECT_EQ(code_of([&] { store.use(StoreName("b")); }), ErrorCode::kCorrupt);

  publish(store, "a", {{"x", "good bytes"}, {"y", "fine"}});
  EXPECT_NO_THROW(store.use(StoreName("b")));
  EXPECT_TRUE(store.verify().bad.empty());
  store.gc(kAll);
  EXPECT_TRUE(names_in("quarantine").empty());
}

TEST_F(StoreVerifyTest, TellsWhereABlobIsDamaged) {
  Store store = open();
  std::string bytes(3 * kPieceBytes + 5, 'x');
  write_test_file(outside() + "/file", bytes);
  Lease lease;
  StoredModel model(StoreName("m"));
  model.artifacts = {store.put_file(outside() + "/file", ImportMode::kCopy, lease)};
  store.publish(model);
  EXPECT_TRUE(store.verify().bad.empty());
  const Digest digest = *model.artifacts[0].digest;
  bytes[kPieceBytes + 7] = 'y';
  write_test_file(store.blob_path(digest), bytes);
  lease = Lease();
  const std::vector<FileRange> damaged = {{kPieceBytes, 2 * kPieceBytes}};
  VerifyReport report = store.verify();
  ASSERT_EQ(report.bad.size(), 1u);
  EXPECT_TRUE(report.bad[0].quarantined);
  EXPECT_EQ(report.bad[0].digest, digest);
  EXPECT_EQ(report.bad[0].damaged, damaged);
  // A second look knows it still, until it is taken to be mended.
  report = store.verify();
  ASSERT_EQ(report.bad.size(), 1u);
  EXPECT_EQ(report.bad[0].damaged, damaged);
  auto partial = store.take_from_quarantine(digest);
  ASSERT_TRUE(partial);
  EXPECT_EQ(testing::read_test_file(partial->path()), bytes);
  EXPECT_FALSE(store.take_from_quarantine(digest));
  EXPECT_TRUE(names_in("quarantine").empty());
  partial.reset();
  EXPECT_FALSE(store.take_from_quarantine(digest)) << "a download of it was begun";
  store.remove(StoreName("m"));
  store.gc(kAll);
  EXPECT_TRUE(names_in("pieces").empty());
  EXPECT_TRUE(names_in("partial").empty());
}

TEST_F(StoreVerifyTest, LearnsTheDigestsOfReferencesAndWatchesThem) {
  Store store = open();
  const std::string path = outside() + "/mine";
  write_test_file(path, "bytes");
  StoredModel model(StoreName("mine"));
  model.artifacts = {store.refer_to_file(path, FileOwner::kLmStudio)};
  store.publish(model);
  EXPECT_EQ(store.verify().learned, 1u);
  EXPECT_EQ(store.require(StoreName("mine")).artifacts[0].digest, sha256("bytes"));
  EXPECT_EQ(store.verify().learned, 0u);

  // Damage that changes neither size nor time is found by reading alone.
  const auto modified = fs::last_write_time(path);
  write_test_file(path, "bytez");
  fs::last_write_time(path, modified);
  VerifyReport report = store.verify();
  ASSERT_EQ(report.bad.size(), 1u);
  EXPECT_FALSE(report.bad[0].quarantined);
  EXPECT_EQ(testing::read_test_file(path), "bytez") << "it is not ours";
  fs::remove(path);
  report = store.verify();
  ASSERT_EQ(report.bad.size(), 1u);
  EXPECT_NE(report.bad[0].why.find("LM Studio"), std::string::npos);
}

TEST_F(StoreVerifyTest, CanBeAskedForOneModelAndCancelled) {
  Store store = open();
  publish(store, "a", {{"x", "one"}});
  publish(store, "b", {{"x", "two"}});
  write_test_file(store.blob_path(sha256("one")), "ONE");
  VerifyOptions options;
  options.name = StoreName("b");
  EXPECT_TRUE(store.verify(options).bad.empty());
  options.name = StoreName("c");
  EXPECT_EQ(code_of([&] { store.verify(options); }), ErrorCode::kNotFound);
  options.name.reset();
  options.cancellation.cancel();
  EXPECT_EQ(code_of([&] { store.verify(options); }), ErrorCode::kCancelled);
  EXPECT_EQ(names_in("quarantine").size(), 0u);
}

}  // namespace
}  // namespace omg

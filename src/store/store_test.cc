// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"
#include "store/store_test_support.h"

namespace omg {
namespace {

namespace fs = std::filesystem;
using testing::StoreFixture;
using testing::write_test_file;

class StoreTest : public StoreFixture {};

TEST_F(StoreTest, FindsItsFolder) {
  ::setenv("OMG_MODELS", "/models/", 1);
  EXPECT_EQ(default_models_folder(), "/models");
  ::setenv("OMG_MODELS", "models", 1);
  EXPECT_THROW(default_models_folder(), Error);
  ::unsetenv("OMG_MODELS");
  ::setenv("XDG_DATA_HOME", "/data", 1);
  EXPECT_EQ(default_models_folder(), "/data/ohmygpu/models");
  ::unsetenv("XDG_DATA_HOME");
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(default_models_folder(), "/home/me/.local/share/ohmygpu/models");
}

TEST_F(StoreTest, PublishesListsAndForgets) {
  Store store = open();
  EXPECT_TRUE(store.list().models.empty());
  publish(store, "org/repo:Q4", {{"a.gguf", "weights"}, {"b.gguf", "more"}});
  publish(store, "alpha", {{"a.gguf", "weights"}});
  const StoreListing listing = store.list();
  ASSERT_EQ(listing.models.size(), 2u);
  EXPECT_EQ(listing.models[0].model.name.str(), "alpha");
  EXPECT_EQ(listing.models[1].model.total_bytes(), 11u);
  EXPECT_EQ(listing.models[1].model.installed_at, clock);
  EXPECT_TRUE(listing.problems.empty());
  EXPECT_EQ(names_in("blobs").size(), 2u) << "equal bytes are stored once";

  EXPECT_TRUE(store.find(StoreName("ORG/REPO:q4")));
  EXPECT_FALSE(store.find(StoreName("org/repo")));
  store.copy(StoreName("alpha"), StoreName("beta"));
  EXPECT_EQ(store.require(StoreName("beta")).artifacts.at(0).digest, sha256("weights"));
  EXPECT_TRUE(store.remove(StoreName("alpha")));
  EXPECT_FALSE(store.remove(StoreName("alpha")));
  EXPECT_EQ(store.list().models.size(), 2u);
  EXPECT_TRUE(names_in("temp").empty());
  EXPECT_TRUE(names_in("partial").empty());
}

TEST_F(StoreTest, TellsNearNames) {
  Store store = open();
  publish(store, "llama3.2:1b", {{"a", "x"}});
  publish(store, "qwen", {{"a", "x"}});
  EXPECT_EQ(message_of([&] { store.require(StoreName("lama3.2:1b")); }),
            "model 'lama3.2:1b' is not here; did you mean llama3.2:1b?");
  EXPECT_EQ(message_of([&] { store.require(StoreName("zzzzzzzz")); }),
            "model 'zzzzzzzz' is not here");
}

TEST_F(StoreTest, UsesAModelThroughItsPathsAndAView) {
  Store store = open();
  publish(store, "m", {{"m-00001-of-00002.gguf", "one"}, {"sub/m-2.gguf", "two"}});
  EXPECT_FALSE(store.last_used(StoreName("m")));
  UsedModel used = store.use(StoreName("m"));
  EXPECT_EQ(store.last_used(StoreName("M")), clock);
  ASSERT_EQ(used.files().size(), 2u);
  EXPECT_EQ(testing::read_test_file(used.files()[1].path), "two");
  const std::string view = store.view(used);
  EXPECT_EQ(testing::read_test_file(view + "/m-00001-of-00002.gguf"), "one");
  EXPECT_EQ(testing::read_test_file(view + "/sub/m-2.gguf"), "two");
  EXPECT_EQ(store.view(used), view);
  // It is mended where a link is wrong.
  fs::remove(view + "/sub/m-2.gguf");
  fs::create_symlink("/etc/passwd", view + "/sub/m-2.gguf");
  store.view(used);
  EXPECT_EQ(testing::read_test_file(view + "/sub/m-2.gguf"), "two");
}

TEST_F(StoreTest, DoesNotPublishHalfAModel) {
  Store store = open();
  StoredModel model(StoreName("half"));
  Artifact artifact;
  artifact.filename = "a";
  artifact.size = 3;
  artifact.digest = sha256("abc");
  model.artifacts = {artifact};
  EXPECT_EQ(code_of([&] { store.publish(model); }), ErrorCode::kNotFound);
  Lease lease;
  store.put_bytes("abc", lease);
  model.artifacts[0].size = 4;
  EXPECT_EQ(code_of([&] { store.publish(model); }), ErrorCode::kNotFound);
  EXPECT_FALSE(store.find(StoreName("half")));
  model.artifacts[0].size = 3;
  store.publish(model);
  fs::remove(store.blob_path(sha256("abc")));
  EXPECT_EQ(store.missing(model).size(), 1u);
  EXPECT_EQ(code_of([&] { store.use(StoreName("half")); }), ErrorCode::kCorrupt);
}

TEST_F(StoreTest, GivesAPartialToOneAtATime) {
  Store store = open();
  Store other = open();
  const PartialKey key(sha256("download"));
  auto partial = store.try_lock_partial(key);
  ASSERT_TRUE(partial);
  EXPECT_FALSE(store.try_lock_partial(key));
  EXPECT_FALSE(other.try_lock_partial(key));
  EXPECT_TRUE(other.try_lock_partial(PartialKey("https://host/other")));
  write_test_file(partial->path(), "down");
  write_test_file(partial->path() + ".chunks", "map");
  partial.reset();
  partial = other.try_lock_partial(key);
  ASSERT_TRUE(partial);
  EXPECT_EQ(testing::read_test_file(partial->path()), "down");
  Lease lease;
  EXPECT_EQ(code_of([&] { other.put_blob(std::move(*partial), sha256("download"), 8, lease); }),
            ErrorCode::kCorrupt);
  partial = other.try_lock_partial(key);
  write_test_file(partial->path(), "download");
  other.put_blob(std::move(*partial), sha256("download"), 8, lease);
  partial.reset();
  EXPECT_TRUE(names_in("partial").empty());
  EXPECT_TRUE(store.has_blob(sha256("download")));
  // The one who waited for it finds the blob, and leaves nothing behind.
  partial = store.try_lock_partial(key);
  ASSERT_TRUE(store.locate(sha256("download"), lease));
  partial.reset();
  EXPECT_TRUE(names_in("partial").empty());
}

TEST_F(StoreTest, SurvivesADamagedManifestAndADamagedDatabase) {
  Store store = open();
  publish(store, "good", {{"a", "x"}});
  publish(store, "bad", {{"a", "y"}});
  store.touch(StoreName("good"));
  write_test_file(root() + "/manifests/bad.json", "{\"format\": 1");
  write_test_file(root() + "/manifests/moved.json",
                  testing::read_test_file(root() + "/manifests/good.json"));
  StoreListing listing = store.list();
  EXPECT_EQ(listing.models.size(), 1u);
  ASSERT_EQ(listing.problems.size(), 2u);
  EXPECT_NE(listing.problems[0].message.find("bad.json"), std::string::npos);
  EXPECT_EQ(code_of([&] { store.find(StoreName("bad")); }), ErrorCode::kCorrupt);
  EXPECT_TRUE(store.remove(StoreName("bad")));
  EXPECT_TRUE(store.remove(StoreName("moved")));
  EXPECT_TRUE(store.list().problems.empty());

  {
    const Store closed = std::move(store);
  }
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(root() + "/state.db" + suffix);
  write_test_file(root() + "/state.db", std::string(5000, 'x'));
  Store again = open();
  EXPECT_EQ(again.list().models.size(), 1u);
  EXPECT_TRUE(again.list().problems.empty());
  EXPECT_FALSE(again.last_used(StoreName("good")));
  again.touch(StoreName("good"));
  EXPECT_EQ(again.list().models[0].last_used, clock);
  EXPECT_TRUE(fs::exists(root() + "/state.db.damaged"));
}

TEST_F(StoreTest, RefusesADirectoryOfANewerVersion) {
  {
    open();
  }
  write_test_file(root() + "/version", "2\n");
  EXPECT_EQ(code_of([&] { open(); }), ErrorCode::kUnsupported);
}

TEST_F(StoreTest, KeepsJobs) {
  Store store = open();
  store.put_job({"1", "pull", "m", "running", "{}", 5, 0});
  store.put_job({"2", "import", "n", "done", "{}", 6, 0});
  store.put_job({"1", "pull", "m", "done", "{\"a\":1}", 5, 0});
  const std::vector<JobRecord> jobs = open().jobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, "2");
  EXPECT_EQ(jobs[1].state, "done");
  EXPECT_EQ(jobs[1].detail, "{\"a\":1}");
  EXPECT_EQ(jobs[1].updated_at, clock);
  store.remove_job("1");
  EXPECT_EQ(store.jobs().size(), 1u);
}

TEST_F(StoreTest, RefersToFilesAndNoticesTheirChange) {
  Store store = open();
  const std::string path = outside() + "/mine.gguf";
  write_test_file(path, "my weights");
  StoredModel model(StoreName("mine"));
  model.artifacts = {store.refer_to_file(path, FileOwner::kUser)};
  EXPECT_FALSE(model.artifacts[0].digest);
  store.publish(model);
  EXPECT_EQ(store.use(StoreName("mine")).files()[0].path, path);
  EXPECT_TRUE(names_in("blobs").empty());

  const auto modified = fs::last_write_time(path);
  write_test_file(path, "MY weights");
  fs::last_write_time(path, modified + std::chrono::nanoseconds(1));
  const std::string written = message_of([&] { store.use(StoreName("mine")); });
  EXPECT_NE(written.find(path), std::string::npos) << written;
  EXPECT_NE(written.find("omg import"), std::string::npos) << written;
  fs::last_write_time(path, modified);
  EXPECT_NO_THROW(store.use(StoreName("mine"))) << "size, time and inode are what is compared";
  write_test_file(outside() + "/new", "my weights");
  fs::rename(outside() + "/new", path);
  fs::last_write_time(path, modified);
  EXPECT_EQ(code_of([&] { store.use(StoreName("mine")); }), ErrorCode::kCorrupt) << "inode";
  write_test_file(path, "longer than before");
  EXPECT_EQ(code_of([&] { store.use(StoreName("mine")); }), ErrorCode::kCorrupt) << "size";
  fs::remove(path);
  EXPECT_NE(message_of([&] { store.use(StoreName("mine")); }).find("is gone"), std::string::npos);
  fs::create_symlink("/etc/passwd", path);
  EXPECT_EQ(code_of([&] { store.use(StoreName("mine")); }), ErrorCode::kCorrupt);
}

TEST_F(StoreTest, BringsInFilesByCopyLinkAndReflink) {
  Store store = open();
  const std::string path = outside() + "/f.gguf";
  write_test_file(path, "bytes");
  Lease lease;
  const Artifact copy = store.put_file(path, ImportMode::kCopy, lease);
  EXPECT_EQ(copy.filename, "f.gguf");
  EXPECT_EQ(copy.digest, sha256("bytes"));
  EXPECT_TRUE(copy.is_blob());
  EXPECT_EQ(testing::read_test_file(store.blob_path(*copy.digest)), "bytes");

  const Artifact link = store.put_file(path, ImportMode::kHardLink, lease);
  EXPECT_EQ(link.digest, sha256("bytes"));
  ASSERT_TRUE(link.reference);
  EXPECT_EQ(fs::hard_link_count(path), 2u);
  StoredModel model(StoreName("linked"));
  model.artifacts = {link};
  store.publish(model);
  fs::remove(path);  // our name for it stays
  EXPECT_EQ(testing::read_test_file(store.use(StoreName("linked")).files()[0].path), "bytes");

  write_test_file(outside() + "/g.gguf", "clone me");
  try {
    const Artifact clone = store.put_file(outside() + "/g.gguf", ImportMode::kReflink, lease);
    EXPECT_EQ(testing::read_test_file(store.blob_path(*clone.digest)), "clone me");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
  }
  EXPECT_TRUE(names_in("partial").empty());
  EXPECT_EQ(code_of([&] { store.put_file(outside(), ImportMode::kCopy, lease); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { store.put_file(outside() + "/no", ImportMode::kCopy, lease); }),
            ErrorCode::kNotFound);
}

TEST_F(StoreTest, LocatesBytesInReferencesToo) {
  Store store = open();
  const std::string path = outside() + "/f";
  write_test_file(path, "bytes");
  StoredModel model(StoreName("m"));
  model.artifacts = {store.refer_to_file(path, FileOwner::kOllama)};
  model.artifacts[0].digest = sha256("bytes");
  store.publish(model);
  Lease lease;
  const auto found = store.locate(sha256("bytes"), lease);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reference->path, path);
  EXPECT_EQ(found->size, 5u);
  write_test_file(path, "other bytes");
  EXPECT_FALSE(store.locate(sha256("bytes"), lease));
}

TEST_F(StoreTest, ChecksTheSpace) {
  const Store store = open();
  EXPECT_NO_THROW(store.check_space(1));
  EXPECT_EQ(code_of([&] { store.check_space(UINT64_MAX); }), ErrorCode::kOutOfMemory);
  const std::string message = message_of([&] { store.check_space(5'000'000'000'000'000); });
  EXPECT_NE(message.find("5.0 PB are needed"), std::string::npos) << message;
}

TEST_F(StoreTest, CountsWhatDownloadsUnderWayWillTake) {
  Store store = open();
  RealFileSystem files;
  const uint64_t free = files.free_bytes(store.folder());
  const PartialKey key("a download");
  EXPECT_EQ(store.bytes_to_come(key, 1000), 1000u);
  auto partial = store.try_lock_partial(key);
  const auto file = files.open(partial->path(), OpenMode::kCreateNew);
  file->resize(free);  // sparse: takes nothing yet
  EXPECT_EQ(store.bytes_to_come(key, free), 0u) << "another brings it already";
  EXPECT_EQ(code_of([&] { store.check_space(1); }), ErrorCode::kOutOfMemory);
  EXPECT_NE(message_of([&] { store.check_space(1); }).find("downloads under way"),
            std::string::npos);
  const std::vector<std::byte> bytes(1 << 20, std::byte{1});
  file->write_at(0, bytes);
  file->sync();
  partial.reset();  // its process ends, its bytes stay
  EXPECT_NO_THROW(store.check_space(1));
  EXPECT_LE(store.bytes_to_come(key, 3u << 20), 2u << 20);
  EXPECT_GE(store.bytes_to_come(key, 3u << 20), 1u << 20);
}

TEST_F(StoreTest, ReadersSeeWholeModelsBesideWriters) {
  Store store = open();
  publish(store, "m", {{"a", "0"}});
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    Store mine = open();
    for (int i = 1; i <= 50; ++i) {
      publish(mine, "m", {{"a", std::to_string(i)}, {"b", std::to_string(i + 1)}});
      mine.gc();
    }
    stop = true;
  });
  int seen = 0;
  while (!stop) {
    const StoreListing listing = store.list();
    ASSERT_TRUE(listing.problems.empty()) << listing.problems[0].message;
    ASSERT_EQ(listing.models.size(), 1u);
    ++seen;
  }
  writer.join();
  EXPECT_GT(seen, 0);
  EXPECT_EQ(store.use(StoreName("m")).files().size(), 2u);
}

}  // namespace
}  // namespace omg

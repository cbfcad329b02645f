// SPDX-License-Identifier: Apache-2.0
//
// Every operation of the store, on a disk that fails or loses power at its n-th call, for every n:
// the store opens clean afterwards, no finished blob is lost, no half model is seen, what was told
// to be done is done, and doing it again succeeds.
#include <cstdio>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>

#include "base/testing/fault_file_system.h"
#include "store/adopt.h"
#include "store/store_test_support.h"

namespace omg {
namespace {

namespace fs = std::filesystem;
using testing::Fault;
using testing::FaultFileSystem;
using testing::publish_files;
using testing::Survival;
using testing::TemporaryFolder;
using testing::write_test_file;

/// Memory, where there is some: a disk's own fsync tells nothing here.
fs::path test_disk() {
  std::error_code error;
  const fs::path memory = "/dev/shm";
  return fs::space(memory, error).available > (64u << 20) && !error ? memory
                                                                    : fs::temp_directory_path();
}

struct World {
  World() : folder(test_disk()), disk(folder / "models") {
    fs::create_directories(folder / "outside");
  }
  Store open() {
    return Store::open({folder / "models", &disk, [] { return 1'900'000'000; }});
  }
  std::string outside(const std::string& name) const { return folder / ("outside/" + name); }

  TemporaryFolder folder;
  FaultFileSystem disk;
};

struct Operation {
  const char* name;
  std::function<void(World&, Store&)> prepare;
  std::function<void(World&, Store&)> act;
  /// Throws or returns false unless what `act` does is done.
  std::function<bool(World&, Store&)> is_done;
};

bool has(Store& store, const std::string& name, const std::vector<std::string>& bytes) {
  const UsedModel used = store.use(StoreName(name));
  if (used.files().size() != bytes.size()) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (testing::read_test_file(used.files()[i].path) != bytes[i]) return false;
  }
  return true;
}

const std::string kBytes(5000, 'b');
const std::string kPieces(kPieceBytes + 1, 'p');  // large enough to have states of pieces

void prepare_nothing(World&, Store&) {}

void publish_reference(World& world, Store& store, ImportMode* mode) {
  Lease lease;
  StoredModel model(StoreName("file"));
  model.artifacts = {mode == nullptr ? store.refer_to_file(world.outside("f"), FileOwner::kUser)
                                     : store.put_file(world.outside("f"), *mode, lease)};
  store.publish(model);
}

std::vector<Operation> operations() {
  const auto write_outside = [](World& world, Store&) {
    write_test_file(world.outside("f"), kBytes);
  };
  const auto file_is_there = [](World&, Store& store) { return has(store, "file", {kBytes}); };
  const auto import_as = [](ImportMode mode) {
    return [mode](World& world, Store& store) mutable { publish_reference(world, store, &mode); };
  };
  return {
      {"open", prepare_nothing, [](World& world, Store&) { world.open(); },
       [](World&, Store&) { return true; }},
      {"pull", prepare_nothing,
       [](World& world, Store& store) {
         publish_files(store, "new", {{"a", kBytes}, {"b", "two"}}, world.disk);
       },
       [](World&, Store& store) { return has(store, "new", {kBytes, "two"}); }},
      {"pull again",
       [](World& world, Store& store) { publish_files(store, "new", {{"a", "old"}}, world.disk); },
       [](World& world, Store& store) {
         publish_files(store, "new", {{"a", kBytes}, {"b", "two"}}, world.disk);
       },
       [](World&, Store& store) { return has(store, "new", {kBytes, "two"}); }},
      {"small blobs", prepare_nothing,
       [](World&, Store& store) {
         Lease lease;
         StoredModel model(StoreName("small"));
         Artifact artifact;
         artifact.filename = "config.json";
         artifact.size = 2;
         artifact.digest = store.put_bytes("{}", lease);
         model.artifacts = {artifact};
         store.publish(model);
       },
       [](World&, Store& store) { return has(store, "small", {"{}"}); }},
      {"copy", prepare_nothing,
       [](World&, Store& store) { store.copy(StoreName("kept"), StoreName("second")); },
       [](World&, Store& store) { return has(store, "second", {"kept one", "kept two"}); }},
      {"remove",
       [](World& world, Store& store) {
         publish_files(store, "gone", {{"a", kBytes}}, world.disk);
       },
       [](World&, Store& store) { store.remove(StoreName("gone")); },
       [](World&, Store& store) { return !store.find(StoreName("gone")); }},
      {"gc",
       [](World& world, Store& store) {
         publish_files(store, "gone", {{"a", kBytes}, {"b", "two"}}, world.disk);
         {
           UsedModel used = store.use(StoreName("gone"));
           store.view(used);
         }
         store.remove(StoreName("gone"));
         auto partial = store.try_lock_partial(PartialKey("u"));
         write_test_file(partial->path(), "half");
       },
       [](World&, Store& store) { store.gc({.keep_partials = std::chrono::seconds(0)}); },
       [](World&, Store& store) { return !store.has_blob(sha256(kBytes)); }},
      {"import of pieces",
       [](World& world, Store&) { write_test_file(world.outside("f"), kPieces); },
       import_as(ImportMode::kCopy),
       [](World&, Store& store) { return has(store, "file", {kPieces}); }},
      {"take from quarantine",
       [](World& world, Store& store) {
         publish_files(store, "bad", {{"a", "good"}}, world.disk);
         const auto file = world.disk.open(store.blob_path(sha256("good")), OpenMode::kReadWrite);
         file->write_at(0, std::as_bytes(std::span("evil", 4)));
         file->sync();
         store.verify();
       },
       [](World&, Store& store) { store.take_from_quarantine(sha256("good")); },
       [](World&, Store& store) { return !store.has_blob(sha256("good")); }},
      {"verify",
       [](World& world, Store& store) {
         write_test_file(world.outside("f"), kBytes);
         publish_reference(world, store, nullptr);
         publish_files(store, "bad", {{"a", "good"}}, world.disk);
         const auto file = world.disk.open(store.blob_path(sha256("good")), OpenMode::kReadWrite);
         file->write_at(0, std::as_bytes(std::span("evil", 4)));
         file->sync();
       },
       [](World&, Store& store) {
         // What cannot be read is told in the report.
         if (store.verify().bad.size() != 1) throw Error(ErrorCode::kIo, "not all is read");
       },
       [](World&, Store& store) {
         return !store.has_blob(sha256("good")) &&
                store.require(StoreName("file")).artifacts[0].digest == sha256(kBytes);
       }},
      {"adopt", write_outside,
       [](World& world, Store& store) { publish_reference(world, store, nullptr); }, file_is_there},
      {"import by copy", write_outside, import_as(ImportMode::kCopy), file_is_there},
      {"import by hard link", write_outside, import_as(ImportMode::kHardLink),
       [](World&, Store& store) { return store.find(StoreName("file")).has_value(); }},
      {"use and view", prepare_nothing,
       [](World&, Store& store) {
         UsedModel used = store.use(StoreName("kept"));
         store.view(used);
       },
       [](World&, Store& store) {
         UsedModel used = store.use(StoreName("kept"));
         return testing::read_test_file(store.view(used) + "/two") == "kept two";
       }},
      {"export", prepare_nothing,
       [](World& world, Store& store) {
         store.export_bundle({StoreName("kept")}, world.outside("bundle"));
       },
       [](World& world, Store& store) {
         return store.import_bundle(world.outside("bundle")).size() == 1;
       }},
      {"import a bundle",
       [](World& world, Store&) {
         Store other = Store::open({world.outside("other"), nullptr, nullptr});
         RealFileSystem disk;
         publish_files(other, "carried", {{"a", kBytes}, {"b", "two"}}, disk);
         other.export_bundle({StoreName("carried")}, world.outside("bundle"));
       },
       [](World& world, Store& store) { store.import_bundle(world.outside("bundle")); },
       [](World&, Store& store) { return has(store, "carried", {kBytes, "two"}); }},
  };
}

struct Failure {
  const char* name;
  Fault fault;
  bool for_good;
  Survival survival;
};

constexpr Failure kFailures[] = {
    {"no space once", Fault::kNoSpace, false, Survival::kAll},
    {"no space any more", Fault::kNoSpace, true, Survival::kAll},
    {"one error", Fault::kIoError, false, Survival::kAll},
    {"errors from then on", Fault::kIoError, true, Survival::kAll},
    {"power cut, unsynced names and bytes lost", Fault::kPowerCut, true, Survival::kNothing},
    {"power cut, unsynced bytes lost", Fault::kPowerCut, true, Survival::kNames},
    {"killed", Fault::kPowerCut, true, Survival::kAll},
};

/// All that holds after any failure.
void check_store(World& world, const Operation& operation) {
  Store store = world.open();
  const StoreListing listing = store.list();
  for (const StoreProblem& problem : listing.problems) ADD_FAILURE() << problem.message;
  EXPECT_TRUE(has(store, "kept", {"kept one", "kept two"}));
  for (const ListedModel& listed : listing.models) {
    const std::string name = listed.model.name.str();
    if (name == "bad") continue;  // damaged by the test itself
    if (name == "file" && std::string(operation.name) == "import by hard link") continue;
    EXPECT_TRUE(store.missing(listed.model).empty()) << name << " is half there";
  }
  for (const auto& entry : fs::directory_iterator(store.folder() + "/blobs")) {
    const std::string bytes = testing::read_test_file(entry.path());
    if (bytes == "evil") continue;
    EXPECT_EQ(entry.path().filename(), sha256(bytes).file_name()) << "a half blob";
  }
  EXPECT_TRUE(fs::is_empty(store.folder() + "/temp"));
}

/// One failure at the n-th call. False once the operation ends before it.
bool fail_once(const Operation& operation, const Failure& failure, uint64_t n) {
  World world;
  bool succeeded = true;
  bool reached = false;
  {
    Store store = world.open();
    publish_files(store, "kept", {{"one", "kept one"}, {"two", "kept two"}}, world.disk);
    operation.prepare(world, store);
    world.disk.fail_at(n, failure.fault, failure.for_good);
    try {
      operation.act(world, store);
    } catch (const Error&) {
      succeeded = false;
    }
    reached = world.disk.disarm();
    if (!reached) {
      EXPECT_TRUE(succeeded);
    }
    if (failure.fault == Fault::kPowerCut) {
      world.disk.fail_at(1, Fault::kPowerCut, true);  // the process is no more: nothing it cleans
    }
  }
  world.disk.disarm();
  if (failure.fault == Fault::kPowerCut) world.disk.lose_power(failure.survival);
  check_store(world, operation);
  Store store = world.open();
  if (succeeded) {
    EXPECT_TRUE(operation.is_done(world, store)) << "told to be done";
  } else {
    EXPECT_NO_THROW(operation.act(world, store)) << "again";
    EXPECT_TRUE(operation.is_done(world, store)) << "done again";
  }
  store.gc({.keep_partials = std::chrono::seconds(0)});
  check_store(world, operation);
  EXPECT_TRUE(fs::is_empty(store.folder() + "/partial")) << "left over after gc";
  return reached;
}

// The sanitizers make a run 10 times slower, and look for other mistakes: they take every 7th call,
// beginning where the kind of failure says.
#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kStep = 7;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr uint64_t kStep = 7;
#else
constexpr uint64_t kStep = 1;
#endif
#else
constexpr uint64_t kStep = 1;
#endif

class StoreFaultTest : public ::testing::TestWithParam<size_t> {};

TEST_P(StoreFaultTest, SurvivesAFailureAtEveryCall) {
  const Operation operation = operations()[GetParam()];
  constexpr uint64_t kMostCalls = 2000;
  uint64_t runs = 0;
  for (const Failure& failure : kFailures) {
    uint64_t n = 1 + static_cast<uint64_t>(&failure - kFailures) % kStep;
    for (; n < kMostCalls; n += kStep) {
      SCOPED_TRACE(std::string(operation.name) + ", " + failure.name + " at call " +
                   std::to_string(n));
      ++runs;
      bool reached = false;
      ASSERT_NO_THROW(reached = fail_once(operation, failure, n));
      if (HasFailure()) return;
      if (!reached) break;
    }
    ASSERT_LT(n, kMostCalls);
  }
  EXPECT_GT(runs, std::size(kFailures)) << "no call was counted";
  std::printf("%s: %llu failures survived\n", operation.name,
              static_cast<unsigned long long>(runs));
}

INSTANTIATE_TEST_SUITE_P(Operations, StoreFaultTest,
                         ::testing::Range<size_t>(0, operations().size()));

}  // namespace
}  // namespace omg

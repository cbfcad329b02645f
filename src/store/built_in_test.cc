// SPDX-License-Identifier: Apache-2.0
//
// Models that are linked into the program, and directories that cannot be written.
#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "builtin/builtin.h"
#include "store/store_test_support.h"

namespace omg {
namespace {

namespace fs = std::filesystem;

StoredModel guide_model() {
  StoredModel guide{StoreName(kGuideName)};
  guide.origin.provider = ModelProvider::kBuiltIn;
  guide.origin.repository = kGuideName;
  guide.installed_at = 7;
  Artifact weights;
  weights.filename = kGuideFilename;
  weights.size = builtin_bytes(kGuidePath)->size();
  weights.digest = guide_digest();
  weights.format = "gguf";
  weights.role = "weights";
  weights.reference = FileReference{std::string(kGuidePath), FileOwner::kProgram, weights.size};
  guide.artifacts.push_back(std::move(weights));
  return guide;
}

class BuiltInTest : public testing::StoreFixture {
 protected:
  StoreOptions options() {
    StoreOptions options;
    options.folder = root();
    options.now = [this] { return clock.load(); };
    options.built_in = {guide_model()};
    return options;
  }
  const StoreName name_{kGuideName};
};

TEST_F(BuiltInTest, IsFoundByNameAndInNoListing) {
  Store store = Store::open(options());
  EXPECT_TRUE(store.list().models.empty());
  ASSERT_EQ(store.built_in().size(), 1u);
  EXPECT_TRUE(store.require(StoreName("Guide")).is_built_in());
  EXPECT_FALSE(store.find(StoreName("other")));
  EXPECT_FALSE(store.remove(name_));
  EXPECT_TRUE(store.find(name_));
}

TEST_F(BuiltInTest, IsUsedWhereItIs) {
  Store store = Store::open(options());
  UsedModel used = store.use(name_);
  EXPECT_EQ(used.files().at(0).path, kGuidePath);
  EXPECT_EQ(store.path_for_reader(used, used.model().artifacts[0]), kGuidePath);
  EXPECT_EQ(store.last_used(name_), clock);
  EXPECT_EQ(store.built_in().at(0).last_used, clock);
  EXPECT_TRUE(names_in("views").empty());
  EXPECT_TRUE(names_in("blobs").empty());
}

TEST_F(BuiltInTest, AModelOfTheSameNameGoesFirst) {
  Store store = Store::open(options());
  publish(store, "guide", {{"own.gguf", "own bytes"}});
  EXPECT_FALSE(store.require(name_).is_built_in());
  EXPECT_TRUE(store.built_in().empty());
  EXPECT_EQ(store.use(name_).files().at(0).artifact.filename, "own.gguf");
  EXPECT_TRUE(store.remove(name_));
  EXPECT_TRUE(store.require(name_).is_built_in());
}

TEST_F(BuiltInTest, ACopyHasBytesOfItsOwn) {
  Store store = Store::open(options());
  store.copy(name_, StoreName("mine"));
  store.copy(name_, StoreName("again"));
  EXPECT_EQ(names_in("blobs"), std::vector<std::string>{guide_digest().file_name()});
  const StoredModel mine = store.require(StoreName("mine"));
  EXPECT_EQ(mine.origin.provider, ModelProvider::kCreated);
  EXPECT_EQ(mine.base, "guide");
  EXPECT_EQ(mine.installed_at, clock);
  EXPECT_TRUE(mine.artifacts.at(0).is_blob());
  // Another program may have another guide, or none.
  Store other = open();
  EXPECT_FALSE(other.find(name_));
  EXPECT_EQ(sha256(testing::read_test_file(other.use(mine.name).files().at(0).path)),
            guide_digest());
  EXPECT_TRUE(other.verify().bad.empty());
}

TEST_F(BuiltInTest, HasNothingToCheckOrToExport) {
  Store store = Store::open(options());
  VerifyOptions of_guide;
  of_guide.name = name_;
  EXPECT_EQ(code_of([&] { store.verify(of_guide); }), ErrorCode::kUnsupported);
  const std::string path = outside() + "/bundle.tar";
  EXPECT_EQ(code_of([&] { store.export_bundle({name_}, path); }), ErrorCode::kUnsupported);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(store.gc().removed.size(), 0u);
}

TEST_F(BuiltInTest, NoManifestCanNameTheProgram) {
  {
    Store store = Store::open(options());
    publish(store, "m", {{"x", "bytes"}});
  }
  const std::string path = root() + "/manifests/m.json";
  std::string text = testing::read_test_file(path);
  const size_t end = text.rfind("\"filename\"");
  ASSERT_NE(end, std::string::npos);
  text.insert(end, R"("reference": {"path": "/proc/self/exe/guide.gguf", "owner": "program",)"
                   R"( "size": 5, "modified_ns": 0, "inode": 0}, )");
  testing::write_test_file(path, text);
  Store store = Store::open(options());
  EXPECT_EQ(code_of([&] { store.find(StoreName("m")); }), ErrorCode::kCorrupt);
  const std::string why = message_of([&] { store.find(StoreName("m")); });
  EXPECT_NE(why.find("owner"), std::string::npos) << why;
}

// A directory that cannot be made: what is in its way is a file.
TEST_F(BuiltInTest, NeedsNoDirectory) {
  StoreOptions nowhere = options();
  nowhere.folder = outside() + "/file/models";
  testing::write_test_file(outside() + "/file", "");
  EXPECT_EQ(code_of([&] { Store::open(nowhere); }), ErrorCode::kIo);
  nowhere.may_be_read_only = true;
  Store store = Store::open(nowhere);
  ASSERT_TRUE(store.read_only_reason());
  const StoreListing listing = store.list();
  EXPECT_TRUE(listing.models.empty());
  ASSERT_EQ(listing.problems.size(), 1u);
  EXPECT_EQ(listing.problems[0].message, *store.read_only_reason());
  EXPECT_EQ(store.built_in().size(), 1u);
  UsedModel used = store.use(name_);
  EXPECT_EQ(store.path_for_reader(used, used.model().artifacts[0]), kGuidePath);
  EXPECT_EQ(code_of([&] { store.require(StoreName("other")); }), ErrorCode::kNotFound);
  const std::string why = message_of([&] { store.copy(name_, StoreName("mine")); });
  EXPECT_NE(why.find(*store.read_only_reason()), std::string::npos) << why;
  EXPECT_NE(why.find("OMG_MODELS"), std::string::npos) << why;
  EXPECT_EQ(code_of([&] { store.try_lock_partial(PartialKey("x")); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { store.jobs(); }), ErrorCode::kIo);
}

// The lock cannot be opened, whoever asks: a directory stands in its place.
TEST_F(BuiltInTest, ModelsOfADirectoryThatCannotBeWrittenAreThere) {
  {
    Store store = open();
    publish(store, "m", {{"m.gguf", "bytes"}});
  }
  fs::remove(root() + "/lock");
  fs::create_directory(root() + "/lock");
  StoreOptions read_only = options();
  EXPECT_ANY_THROW(Store::open(read_only));
  read_only.may_be_read_only = true;
  Store store = Store::open(read_only);
  ASSERT_TRUE(store.read_only_reason());
  EXPECT_EQ(store.list().models.size(), 1u);
  EXPECT_TRUE(store.list().problems.empty());
  UsedModel used = store.use(StoreName("m"));
  const std::string path = store.path_for_reader(used, used.model().artifacts[0]);
  EXPECT_EQ(testing::read_test_file(path), "bytes");
  EXPECT_EQ(code_of([&] { store.remove(StoreName("m")); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { store.gc(); }), ErrorCode::kIo);
  testing::write_test_file(root() + "/version", "2\n");
  EXPECT_EQ(code_of([&] { Store::open(read_only); }), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace omg

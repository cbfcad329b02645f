// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "store/manifest.h"
#include "store/store_test_support.h"
#include "store/tar.h"

namespace omg {
namespace {

namespace fs = std::filesystem;
using testing::StoreFixture;
using testing::TemporaryFolder;
using testing::write_test_file;

class BundleTest : public StoreFixture {
 protected:
  std::string bundle() const { return outside() + "/models.tar"; }
  /// A second store, as on another machine.
  Store other() {
    return Store::open({outside() + "/elsewhere" + std::to_string(stores_++), nullptr, nullptr});
  }
  int stores_ = 0;

  static std::string entry(const std::string& name, const std::string& bytes) {
    return tar_header(name, bytes.size()) + bytes + tar_padding(bytes.size());
  }
  void refuses(const std::string& bytes) {
    write_test_file(bundle(), bytes);
    Store store = other();
    EXPECT_EQ(code_of([&] { store.import_bundle(bundle()); }), ErrorCode::kCorrupt);
    EXPECT_TRUE(store.list().models.empty());
    EXPECT_TRUE(fs::is_empty(store.folder() + "/partial"));
  }
  static std::string manifest(const std::string& bytes) {
    StoredModel model(StoreName("m"));
    Artifact artifact;
    artifact.filename = "f";
    artifact.size = bytes.size();
    artifact.digest = sha256(bytes);
    model.artifacts = {artifact};
    return manifest_to_json(model);
  }
};

const std::string kMark = tar_header("ohmygpu-bundle", 2) + "1\n" + tar_padding(2);

TEST_F(BundleTest, CarriesModelsToAnotherStore) {
  Store store = open();
  publish(store, "a", {{"x.gguf", std::string(3000000, 'x')}, {"empty", ""}});
  publish(store, "b", {{"x.gguf", std::string(3000000, 'x')}});
  write_test_file(outside() + "/mine.gguf", "referred");
  StoredModel mine(StoreName("mine"));
  mine.artifacts = {store.refer_to_file(outside() + "/mine.gguf", FileOwner::kUser)};
  mine.settings.system = "hello";
  store.publish(mine);
  store.export_bundle({StoreName("a"), StoreName("B"), StoreName("mine")}, bundle());
  EXPECT_LT(fs::file_size(bundle()), 3100000u) << "equal bytes are written once";

  Store there = other();
  EXPECT_EQ(there.import_bundle(bundle()), (std::vector<std::string>{"a", "b", "mine"}));
  EXPECT_TRUE(there.verify().bad.empty());
  fs::remove(outside() + "/mine.gguf");
  EXPECT_EQ(testing::read_test_file(there.use(StoreName("mine")).files()[0].path), "referred");
  EXPECT_EQ(there.require(StoreName("mine")).settings.system, "hello");
  EXPECT_EQ(there.import_bundle(bundle()).size(), 3u) << "again: nothing to do";
  EXPECT_TRUE(fs::is_empty(there.folder() + "/partial"));
  EXPECT_EQ(code_of([&] { store.export_bundle({StoreName("no")}, bundle()); }),
            ErrorCode::kNotFound);
}

TEST_F(BundleTest, IsAPlainTar) {
  Store store = open();
  publish(store, "a", {{"x", "bytes"}});
  store.export_bundle({StoreName("a")}, bundle());
  const std::string folder = outside() + "/unpacked";
  fs::create_directories(folder);
  const std::string command = "tar -xf '" + bundle() + "' -C '" + folder + "' && tar -cf '" +
                              bundle() + "' -C '" + folder + "' .";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(testing::read_test_file(folder + "/blobs/" + sha256("bytes").file_name()), "bytes");
  Store there = other();
  EXPECT_EQ(there.import_bundle(bundle()), std::vector<std::string>{"a"}) << "packed again by tar";
}

TEST_F(BundleTest, IsNotExportedDamaged) {
  Store store = open();
  publish(store, "a", {{"x", "bytes"}});
  write_test_file(store.blob_path(sha256("bytes")), "bytez");
  EXPECT_EQ(code_of([&] { store.export_bundle({StoreName("a")}, bundle()); }), ErrorCode::kCorrupt);
  EXPECT_TRUE(fs::is_empty(outside()));
}

TEST_F(BundleTest, RefusesHostileArchives) {
  const std::string blob = "blobs/" + sha256("bytes").file_name();
  const std::string good =
      kMark + entry("manifests/0.json", manifest("bytes")) + entry(blob, "bytes") + tar_end();
  write_test_file(bundle(), good);
  EXPECT_EQ(Store::open({outside() + "/good", nullptr, nullptr}).import_bundle(bundle()).size(),
            1u);

  refuses("");
  refuses(tar_end());                           // no mark
  refuses(good.substr(0, good.size() - 1024));  // no end
  refuses(good.substr(0, good.size() - 1300));
  refuses(good.substr(512));
  refuses(kMark + entry("../../evil", "x") + tar_end());
  refuses(kMark + entry("/etc/passwd", "x") + tar_end());
  refuses(kMark + entry("blobs/../../evil", "x") + tar_end());
  refuses(kMark + entry("blobs/sha256-12", "x") + tar_end());
  refuses(kMark + entry("blobs/" + sha256("bytes").hex(), "bytes") + tar_end());
  refuses(kMark + entry(blob, "other") + tar_end());
  refuses(kMark + entry("manifests/0.json", manifest("bytes")).substr(0, 700));
  refuses(kMark + entry("manifests/0.json", "{}") + tar_end());
  std::string link = tar_header("link", 0);
  link[156] = '2';
  refuses(kMark + link + tar_end());  // its checksum is wrong, too: both are refused
  std::string flipped = good;
  flipped[1024 + 3] ^= 1;
  refuses(flipped);

  // A manifest whose bytes are missing, and one that refers to a file outside.
  write_test_file(bundle(), kMark + entry("manifests/0.json", manifest("bytes")) + tar_end());
  const Store store = open();
  EXPECT_EQ(code_of([&] { other().import_bundle(bundle()); }), ErrorCode::kNotFound);
  StoredModel model(StoreName("m"));
  write_test_file(outside() + "/secret", "secret");
  model.artifacts = {store.refer_to_file(outside() + "/secret", FileOwner::kUser)};
  refuses(kMark + entry("manifests/0.json", manifest_to_json(model)) + tar_end());
}

TEST(Tar, RefusesLinksAndLyingSizes) {
  const TemporaryFolder folder;
  RealFileSystem files;
  const auto read_all = [&](const std::string& bytes) {
    write_test_file(folder / "t", bytes);
    const auto file = files.open(folder / "t", OpenMode::kRead);
    TarReader reader(*file, "t");
    size_t count = 0;
    while (reader.next()) ++count;
    return count;
  };
  const auto fix = [](std::string header) {
    uint64_t sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : uint8_t(header[i]);
    char text[8];
    std::snprintf(text, sizeof(text), "%06llo", static_cast<unsigned long long>(sum));
    return header.replace(148, 7, text, 7);
  };
  const std::string plain = tar_header("a", 0);
  EXPECT_EQ(read_all(plain + tar_end()), 1u);
  for (const char type : {'1', '2', '3', '4', '6', '7', 'L', 'K', 'S', '\x01'}) {
    std::string header = plain;
    header[156] = type;
    EXPECT_THROW(read_all(fix(header) + tar_end()), Error) << type;
  }
  std::string folder_entry = plain;
  folder_entry[156] = '5';
  EXPECT_EQ(read_all(fix(folder_entry) + plain + tar_end()), 1u);
  // Sizes: beyond the file, beyond 64 bits, negative, no number.
  EXPECT_THROW(read_all(tar_header("a", 1025) + tar_end()), Error);
  EXPECT_THROW(read_all(tar_header("a", UINT64_MAX) + tar_end()), Error);
  EXPECT_THROW(read_all(tar_header("a", UINT64_MAX - 511) + tar_end()), Error);
  for (const std::string& size :
       {std::string(12, '\xff'), std::string("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        std::string("9999999999\0\0", 12), std::string("            "),
        std::string("-1\0\0\0\0\0\0\0\0\0\0", 12)}) {
    std::string header = plain;
    header.replace(124, 12, size);
    EXPECT_THROW(read_all(fix(header) + tar_end()), Error);
  }
  // GNU's form of a size, and a pax record that wins over the header.
  std::string gnu = tar_header("a", 3);
  gnu.replace(124, 12, std::string("\x80\0\0\0\0\0\0\0\0\0\0\x03", 12));
  EXPECT_EQ(read_all(fix(gnu) + "abc" + tar_padding(3) + tar_end()), 1u);
  const auto pax = [&](const std::string& record) {
    std::string header = tar_header("pax", record.size());
    header[156] = 'x';
    return fix(header) + record + tar_padding(record.size());
  };
  EXPECT_EQ(read_all(pax("10 size=3\n") + plain + "abc" + tar_padding(3) + tar_end()), 1u);
  for (const char* record :
       {"99 size=3\n", "0 size=3\n", "10 size=x\n", "3 a", "x size=3\n", "10 size=3 ",
        "40 size=99999999999999999999999999999\n", "13 size=99999\n"}) {
    EXPECT_THROW(read_all(pax(record) + plain + tar_end()), Error) << record;
  }
}

TEST(Tar, WritesSizesBeyondEightGibibytes) {
  const uint64_t size = (uint64_t{9} << 30) + 5;
  const std::string header = tar_header("blobs/x", size);
  EXPECT_EQ(header.size(), 3 * kTarBlock);
  const TemporaryFolder folder;
  RealFileSystem files;
  const auto file = files.open(folder / "t", OpenMode::kCreateNew);
  file->write_at(0, std::as_bytes(std::span(header)));
  file->resize(header.size() + size + tar_padding(size).size() + tar_end().size());  // holes
  TarReader reader(*file, "t");
  const auto entry = reader.next();
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->name, "blobs/x");
  EXPECT_EQ(entry->size, size);
  EXPECT_EQ(entry->offset, header.size());
  EXPECT_FALSE(reader.next());
}

}  // namespace
}  // namespace omg

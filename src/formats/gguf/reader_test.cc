// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf/reader.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing/reference_dir.h"
#include "formats/gguf/testing.h"
#include "formats/open_model_file.h"

namespace omg::gguf {
namespace {

using testing::Bytes;
using testing::TemporaryFolder;

TEST(GgufReader, OpensEveryReferenceModel) {
  const std::filesystem::path folder = reference_dir();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no reference data at " << folder;
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    ++count;
    const ModelFile model = open_model_file(entry.path());
    EXPECT_FALSE(model.metadata().get_string("tokenizer.ggml.model").empty());
    EXPECT_FALSE(model.metadata().get_strings("tokenizer.ggml.tokens").empty());
    if (entry.path().parent_path().filename() == "tokenizers") continue;
    EXPECT_FALSE(model.metadata().get_string("general.architecture").empty());
    EXPECT_GT(model.tensor("token_embd.weight").rows(), 1u);
    EXPECT_GT(model.parameter_count(), 1000u);
  }
  EXPECT_GE(count, 20);
}

TEST(GgufReader, PlacesTensorsAndSkipsNothing) {
  Bytes bytes;
  bytes.preamble(2, 1, 2).key_u32("general.alignment", 64);
  bytes.tensor("a", {2, 3}, 0, 0).tensor("b", {4}, 1, 64).pad(64);
  const size_t data_start = bytes.text().size();
  bytes.raw(std::string(24, 'a')).pad(64).raw(std::string(8, 'b'));  // no padding at the end
  const Header header = parse(std::as_bytes(std::span(bytes.text())), "m.gguf");
  EXPECT_EQ(header.version, 2u);
  EXPECT_EQ(header.alignment, 64u);
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].rank, 2u);
  EXPECT_EQ(header.tensors[0].shape, (std::array<uint64_t, 4>{2, 3, 1, 1}));
  EXPECT_EQ(header.tensors[1].type, WeightType::kF16);
  const auto* start = reinterpret_cast<const std::byte*>(bytes.text().data()) + data_start;
  EXPECT_EQ(header.tensors[0].bytes.data(), start);
  EXPECT_EQ(header.tensors[0].bytes.size(), 24u);
  EXPECT_EQ(header.tensors[1].bytes.data(), start + 64);
  EXPECT_EQ(header.tensors[1].bytes.size(), 8u);
}

TEST(GgufReader, PeeksAtTheArchitectureInFirstBytes) {
  Bytes bytes;
  bytes.preamble(0, 3).key_u32("general.alignment", 64);
  bytes.string("general.architecture").u32(8).string("llama").key_u32("llama.block_count", 2);
  const auto peek = [&](size_t count) {
    return peek_architecture(std::as_bytes(std::span(bytes.text()).first(count)), "m.gguf");
  };
  const size_t size = bytes.text().size();
  EXPECT_EQ(peek(size), "llama");
  EXPECT_EQ(peek(size - 5), "llama");  // the key behind it is cut
  EXPECT_EQ(peek(size - 40), std::nullopt);
  EXPECT_THROW(peek(3), Error);
  bytes.text()[0] = 'X';
  EXPECT_THROW(peek(size), Error);
}

TEST(GgufReader, VocabularyOfAMillionPasses) {
  constexpr uint64_t kCount = 1 << 20;
  Bytes bytes;
  bytes.preamble(0, 2).string("tokens").u32(9).u32(8).u64(kCount);
  for (uint64_t i = 0; i < kCount; ++i) bytes.string("ab");
  bytes.string("merges").u32(9).u32(8).u64(kCount);
  for (uint64_t i = 0; i < kCount; ++i) bytes.string("a b");
  const Header header = parse(std::as_bytes(std::span(bytes.text())), "m.gguf");
  EXPECT_EQ(header.metadata.get_strings("merges").size(), kCount);
  EXPECT_EQ(header.metadata.get_strings("tokens").back(), "ab");
}

/// A model in three parts, one tensor each; `change` may spoil a part before it is written.
class SplitModel : public ::testing::Test {
 protected:
  struct Part {
    uint32_t number;
    uint32_t count = 3;
    uint32_t tensors = 3;
    std::string tensor;
  };

  std::string name(uint32_t number) const {
    return "m-0000" + std::to_string(number + 1) + "-of-00003.gguf";
  }
  void write(uint32_t number, const Part& part) {
    Bytes bytes;
    bytes.preamble(1, number == 0 ? 4 : 3);
    if (number == 0) bytes.string("general.architecture").u32(8).string("llama");
    bytes.string("split.no").u32(2).number(static_cast<uint16_t>(part.number));
    bytes.string("split.count").u32(2).number(static_cast<uint16_t>(part.count));
    bytes.string("split.tensors.count").u32(5).u32(part.tensors);
    bytes.tensor(part.tensor, {8}, 0, 0).pad().raw(std::string(32, part.tensor.front()));
    folder_.write(name(number), bytes);
  }
  void write_all() {
    for (uint32_t i = 0; i < 3; ++i)
      write(i, {i, 3, 3, std::string(1, static_cast<char>('a' + i))});
  }
  void expect_error(const std::string& path, ErrorCode code, const std::string& part) {
    try {
      open_model_file(path);
      ADD_FAILURE() << "accepted; expected " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }

  TemporaryFolder folder_;
};

TEST_F(SplitModel, OpensByAnyPart) {
  write_all();
  for (uint32_t i = 0; i < 3; ++i) {
    const ModelFile model = open_model_file(folder_.file(name(i)));
    EXPECT_EQ(model.path(), folder_.file(name(0)));
    ASSERT_EQ(model.tensors().size(), 3u);
    EXPECT_EQ(model.metadata().get_string("general.architecture"), "llama");
    EXPECT_FALSE(model.metadata().contains("split.count"));
    EXPECT_EQ(model.tensor("c").file_index, 2u);
    EXPECT_EQ(model.tensor("c").bytes[31], std::byte{'c'});
    model.release(model.tensor("b"));
  }
}

TEST_F(SplitModel, MissingPartIsNamed) {
  write_all();
  std::filesystem::remove(folder_.file(name(1)));
  expect_error(folder_.file(name(0)), ErrorCode::kNotFound, name(1));
  expect_error(folder_.file(name(2)), ErrorCode::kNotFound, "part 2 of 3");
}

TEST_F(SplitModel, RenamedPartIsRefused) {
  write_all();
  std::filesystem::rename(folder_.file(name(0)), folder_.file("renamed.gguf"));
  expect_error(folder_.file("renamed.gguf"), ErrorCode::kCorrupt, "-00001-of-00003.gguf");
}

TEST_F(SplitModel, PartsThatDoNotFitAreRefused) {
  write_all();
  write(1, {2, 3, 3, "b"});
  expect_error(folder_.file(name(0)), ErrorCode::kCorrupt, "against its name");
  write(1, {1, 4, 3, "b"});
  expect_error(folder_.file(name(0)), ErrorCode::kCorrupt, "of 4");
  write(1, {1, 3, 3, "a"});
  expect_error(folder_.file(name(0)), ErrorCode::kCorrupt, "'a' is in an earlier part");
  write(1, {1, 3, 3, "b"});
  write(0, {0, 3, 4, "a"});
  expect_error(folder_.file(name(0)), ErrorCode::kCorrupt, "says 4 tensors");
  write(0, {3, 3, 3, "a"});
  expect_error(folder_.file(name(0)), ErrorCode::kCorrupt, "'split.no' is 3");
  write(0, {0, 60000, 3, "a"});
  expect_error(folder_.file(name(0)), ErrorCode::kLimitExceeded, "60000 parts");
}

TEST_F(SplitModel, KeysOfAWrongTypeNameFileAndKey) {
  const auto path =
      folder_.write("m.gguf", Bytes().preamble(0, 1).string("split.count").u32(8).string("three"));
  expect_error(path, ErrorCode::kCorrupt, "m.gguf: metadata key 'split.count'");
}

TEST(GgufReader, FilesThatAreNoneAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THROW(open_model_file(folder.file("absent.gguf")), Error);
  EXPECT_THROW(open_model_file(folder.write("empty.gguf", Bytes())), Error);
}

}  // namespace
}  // namespace omg::gguf

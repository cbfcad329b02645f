// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf/writer.h"

#include <functional>
#include <gtest/gtest.h>
#include <numeric>

#include "base/error.h"
#include "formats/gguf/reader.h"
#include "formats/gguf/testing.h"

namespace omg::gguf {
namespace {

using testing::TemporaryFolder;

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

std::vector<std::byte> pattern(size_t size, uint32_t seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 31 + seed) >> 2);
  return bytes;
}

MetadataValue numbers(MetadataType type, uint64_t count, std::span<const std::byte> bytes) {
  return {MetadataType::kArray, MetadataArray{type, count, bytes, {}}};
}

bool same(const MetadataValue& a, const MetadataValue& b) {
  if (a.type != b.type || a.data.index() != b.data.index()) return false;
  if (const auto* array = std::get_if<MetadataArray>(&a.data)) {
    const auto& other = std::get<MetadataArray>(b.data);
    return array->element_type == other.element_type && array->count == other.count &&
           array->strings == other.strings &&
           std::equal(array->bytes.begin(), array->bytes.end(), other.bytes.begin(),
                      other.bytes.end());
  }
  if (const auto* text = std::get_if<std::string_view>(&a.data)) {
    return *text == std::get<std::string_view>(b.data);
  }
  if (const auto* d = std::get_if<double>(&a.data)) return *d == std::get<double>(b.data);
  if (const auto* u = std::get_if<uint64_t>(&a.data)) return *u == std::get<uint64_t>(b.data);
  if (const auto* i = std::get_if<int64_t>(&a.data)) return *i == std::get<int64_t>(b.data);
  return std::get<bool>(a.data) == std::get<bool>(b.data);
}

TEST(GgufWriter, EveryMetadataTypeComesBack) {
  const TemporaryFolder folder;
  const auto bytes = pattern(24, 1);
  const std::array<std::byte, 2> flags = {std::byte{1}, std::byte{0}};
  Metadata metadata;
  metadata.add("u8", {MetadataType::kU8, uint64_t{255}});
  metadata.add("i8", {MetadataType::kI8, int64_t{-128}});
  metadata.add("u16", {MetadataType::kU16, uint64_t{65535}});
  metadata.add("i16", {MetadataType::kI16, int64_t{-32768}});
  metadata.add("u32", {MetadataType::kU32, uint64_t{4294967295}});
  metadata.add("i32", {MetadataType::kI32, int64_t{-2147483648}});
  metadata.add("f32", {MetadataType::kF32, 0.5});
  metadata.add("true", {MetadataType::kBool, true});
  metadata.add("false", {MetadataType::kBool, false});
  metadata.add("u64", {MetadataType::kU64, ~uint64_t{0}});
  metadata.add("i64", {MetadataType::kI64, std::numeric_limits<int64_t>::min()});
  metadata.add("f64", {MetadataType::kF64, 1e300});
  metadata.set_string("text", "zwölf");
  metadata.set_string("empty", "");
  const std::vector<std::string> strings = {"", "a", "▁the"};
  metadata.set_strings("strings", strings);
  metadata.add("array.u8", numbers(MetadataType::kU8, 24, bytes));
  metadata.add("array.i8", numbers(MetadataType::kI8, 24, bytes));
  metadata.add("array.u16", numbers(MetadataType::kU16, 12, bytes));
  metadata.add("array.i16", numbers(MetadataType::kI16, 12, bytes));
  metadata.add("array.u32", numbers(MetadataType::kU32, 6, bytes));
  metadata.add("array.i32", numbers(MetadataType::kI32, 6, bytes));
  metadata.add("array.f32", numbers(MetadataType::kF32, 6, bytes));
  metadata.add("array.u64", numbers(MetadataType::kU64, 3, bytes));
  metadata.add("array.i64", numbers(MetadataType::kI64, 3, bytes));
  metadata.add("array.f64", numbers(MetadataType::kF64, 3, bytes));
  metadata.add("array.bool", numbers(MetadataType::kBool, 2, flags));
  metadata.add("array.none", numbers(MetadataType::kF32, 0, {}));

  Writer(folder.file("m.gguf"), metadata, {}).finish();
  const ModelFile model = open(folder.file("m.gguf"));
  ASSERT_EQ(model.metadata().entries().size(), metadata.entries().size());
  for (size_t i = 0; i < metadata.entries().size(); ++i) {
    const auto& wrote = metadata.entries()[i];
    const auto& read = model.metadata().entries()[i];
    EXPECT_EQ(read.key, wrote.key);
    EXPECT_TRUE(same(read.value, wrote.value)) << wrote.key;
  }
}

TEST(GgufWriter, TensorsOfEveryTypeComeBackAligned) {
  for (const uint32_t alignment : {0u, 8u, 64u, 4096u}) {
    const TemporaryFolder folder;
    Metadata metadata;
    if (alignment) metadata.set_u32("general.alignment", alignment);
    std::vector<TensorDeclaration> declarations;
    std::vector<std::vector<std::byte>> data;
    for (const auto& type : weight_types()) {
      const uint64_t row = type.block_elements * 3;
      declarations.push_back({"t." + std::string(type.name), type.type, 3, {row, 5, 2, 1}});
      data.push_back(pattern(*row_bytes(type.type, row) * 10, type.block_bytes));
    }
    Writer writer(folder.file("m.gguf"), metadata, declarations);
    for (const auto& bytes : data) {  // in three uneven pieces
      const std::span<const std::byte> all = bytes;
      writer.write(all.first(1));
      writer.write({});
      writer.write(all.subspan(1, 20));
      writer.write(all.subspan(21));
    }
    writer.finish();

    const ModelFile model = open(folder.file("m.gguf"));
    ASSERT_EQ(model.tensors().size(), declarations.size());
    const auto* start = model.files()[0].bytes().data();
    for (size_t i = 0; i < declarations.size(); ++i) {
      const auto& tensor = model.tensors()[i];
      EXPECT_EQ(tensor.name, declarations[i].name);
      EXPECT_EQ(tensor.type, declarations[i].type);
      EXPECT_EQ(tensor.rank, 3u);
      EXPECT_EQ(tensor.shape, declarations[i].shape);
      EXPECT_EQ((tensor.bytes.data() - start) % (alignment ? alignment : 32), 0);
      EXPECT_TRUE(
          std::equal(tensor.bytes.begin(), tensor.bytes.end(), data[i].begin(), data[i].end()));
    }
  }
}

TEST(GgufWriter, PiecesLargerThanItsBuffer) {
  const TemporaryFolder folder;
  const auto bytes = pattern(size_t{9} << 20, 7);
  Writer writer(folder.file("m.gguf"), {},
                {{"small", WeightType::kF32, 1, {3, 1, 1, 1}},
                 {"large", WeightType::kF32, 1, {bytes.size() / 4, 1, 1, 1}}});
  writer.write(std::span(bytes).first(12));
  writer.write(std::span(bytes).first(100));
  writer.write(std::span(bytes).subspan(100));
  writer.finish();
  const ModelFile model = open(folder.file("m.gguf"));
  const auto read = model.tensor("large").bytes;
  EXPECT_TRUE(std::equal(read.begin(), read.end(), bytes.begin(), bytes.end()));
}

TEST(GgufWriter, NothingStandsUnderTheNameBeforeFinish) {
  const TemporaryFolder folder;
  const auto bytes = pattern(16, 1);
  {
    Writer writer(folder.file("m.gguf"), {}, {{"a", WeightType::kF32, 1, {4, 1, 1, 1}}});
    writer.write(std::span(bytes).first(15));
    EXPECT_FALSE(std::filesystem::exists(folder.file("m.gguf")));
    EXPECT_EQ(folder.count(), 1u);
    EXPECT_EQ(code_of([&] { writer.finish(); }), ErrorCode::kInvalidArgument);
    EXPECT_FALSE(std::filesystem::exists(folder.file("m.gguf")));
  }
  EXPECT_EQ(folder.count(), 0u) << "an abandoned writer left its file";
}

TEST(GgufWriter, FinishReplacesAnOlderFileAtOnce) {
  const TemporaryFolder folder;
  for (const uint32_t value : {1u, 2u}) {
    Metadata metadata;
    metadata.set_u32("value", value);
    Writer writer(folder.file("m.gguf"), metadata, {});
    if (value == 2) {
      EXPECT_EQ(open(folder.file("m.gguf")).metadata().get_u32("value"), 1u);
    }
    writer.finish();
    EXPECT_EQ(open(folder.file("m.gguf")).metadata().get_u32("value"), value);
    EXPECT_EQ(folder.count(), 1u);
  }
}

TEST(GgufWriter, TwoWritersOfOneFileDoNotMix) {
  const TemporaryFolder folder;
  Writer first(folder.file("m.gguf"), {}, {});
  EXPECT_EQ(code_of([&] { Writer(folder.file("m.gguf"), {}, {}); }), ErrorCode::kIo);
  first.finish();
  EXPECT_TRUE(open(folder.file("m.gguf")).tensors().empty());
}

TEST(GgufWriter, RefusesWhatNoReaderWouldTake) {
  const TemporaryFolder folder;
  const auto refused = [&](const Metadata& metadata, std::vector<TensorDeclaration> tensors) {
    const auto code = code_of([&] { Writer(folder.file("m.gguf"), metadata, std::move(tensors)); });
    EXPECT_EQ(code, ErrorCode::kInvalidArgument);
  };
  const auto f32 = WeightType::kF32;
  refused({}, {{"", f32, 1, {1, 1, 1, 1}}});
  refused({}, {{std::string(300, 'x'), f32, 1, {1, 1, 1, 1}}});
  refused({}, {{"a", f32, 1, {1, 1, 1, 1}}, {"a", f32, 1, {1, 1, 1, 1}}});
  refused({}, {{"a", f32, 0, {1, 1, 1, 1}}});
  refused({}, {{"a", f32, 5, {1, 1, 1, 1}}});
  refused({}, {{"a", f32, 2, {1, 0, 1, 1}}});
  refused({}, {{"a", f32, 1, {1, 2, 1, 1}}});
  refused({}, {{"a", WeightType::kQ4_K, 1, {255, 1, 1, 1}}});
  refused({}, {{"a", f32, 2, {uint64_t{1} << 40, uint64_t{1} << 40, 1, 1}}});
  refused({}, {{"a", f32, 1, {uint64_t{1} << 61, 1, 1, 1}},
               {"b", f32, 1, {(uint64_t{1} << 62) - 8, 1, 1, 1}}});
  for (const char* key : {"", "\xff"}) {
    Metadata metadata;
    metadata.add(key, {MetadataType::kBool, true});
    refused(metadata, {});
  }
  Metadata misaligned;
  misaligned.set_u32("general.alignment", 24);
  refused(misaligned, {});
  Metadata long_array;
  const std::vector<int32_t> numbers_of_5m(5 << 20);
  long_array.set_i32_array("long", numbers_of_5m);
  refused(long_array, {});
  EXPECT_EQ(folder.count(), 0u);
}

TEST(GgufWriter, DataBeyondADeclarationIsAnError) {
  const TemporaryFolder folder;
  const auto bytes = pattern(32, 1);
  Writer writer(
      folder.file("m.gguf"), {},
      {{"a", WeightType::kF32, 1, {4, 1, 1, 1}}, {"b", WeightType::kF32, 1, {1, 1, 1, 1}}});
  EXPECT_EQ(code_of([&] { writer.write(std::span(bytes).first(17)); }),
            ErrorCode::kInvalidArgument);
  writer.write(std::span(bytes).first(16));
  writer.write(std::span(bytes).first(4));
  EXPECT_EQ(code_of([&] { writer.write(std::span(bytes).first(1)); }), ErrorCode::kInvalidArgument);
}

TEST(GgufWriter, FoldersThatAreMissingAreNamed) {
  const TemporaryFolder folder;
  EXPECT_EQ(code_of([&] { Writer(folder.file("no/m.gguf"), {}, {}); }), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace omg::gguf

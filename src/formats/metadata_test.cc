// SPDX-License-Identifier: Apache-2.0
#include "formats/metadata.h"

#include <gtest/gtest.h>
#include <limits>

#include "base/error.h"

namespace omg {
namespace {

/// The message of the error that `get` must throw.
template <typename Get>
std::string message_of(Get get) {
  try {
    get();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(Metadata, ScalarsConvertWithinRange) {
  Metadata metadata;
  metadata.add("u8", {MetadataType::kU8, uint64_t{200}});
  metadata.add("i32", {MetadataType::kI32, int64_t{7}});
  metadata.add("minus", {MetadataType::kI32, int64_t{-7}});
  metadata.add("u64", {MetadataType::kU64, std::numeric_limits<uint64_t>::max()});
  metadata.add("f64", {MetadataType::kF64, 1e300});
  metadata.set_f32("f32", 0.5f);
  metadata.set_bool("flag", true);
  metadata.set_string("text", "words");

  EXPECT_EQ(metadata.find_u32("u8"), 200u);
  EXPECT_EQ(metadata.get_u32("i32"), 7u);
  EXPECT_EQ(metadata.find_u64("u64"), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(metadata.find_f32("minus"), -7.0f);
  EXPECT_EQ(metadata.get_f32("f32"), 0.5f);
  EXPECT_EQ(metadata.find_bool("flag"), true);
  EXPECT_EQ(metadata.get_string("text"), "words");
  EXPECT_EQ(metadata.find_u32("absent"), std::nullopt);
  EXPECT_EQ(metadata.find_f32("absent"), std::nullopt);
  EXPECT_EQ(metadata.find_bool("absent"), std::nullopt);
  EXPECT_EQ(metadata.find_string("absent"), std::nullopt);
  EXPECT_EQ(metadata.find_array("absent"), nullptr);

  EXPECT_NE(message_of([&] { metadata.find_u32("minus"); }).find("'minus'"), std::string::npos);
  EXPECT_NE(message_of([&] { metadata.find_u32("u64"); }).find("4294967295"), std::string::npos);
  message_of([&] { metadata.find_u32("f32"); });
  message_of([&] { metadata.find_u32("flag"); });
  message_of([&] { metadata.find_f32("f64"); });
  message_of([&] { metadata.find_f32("text"); });
  message_of([&] { metadata.find_bool("u8"); });
  message_of([&] { metadata.find_string("u8"); });
  message_of([&] { metadata.find_array("u8"); });
  EXPECT_EQ(message_of([&] { metadata.get_u32("absent"); }), "metadata key 'absent' is missing");
  message_of([&] { metadata.get_strings("absent"); });
}

TEST(Metadata, ArraysConvertElementByElement) {
  Metadata metadata;
  const std::vector<float> floats = {0.25f, -1.0f};
  const std::vector<int32_t> ints = {1, 0, -2};
  const std::vector<std::string> strings = {"a", "", "long enough to leave the small buffer"};
  const std::array<std::byte, 3> flags = {std::byte{1}, std::byte{0}, std::byte{1}};
  const std::array<std::byte, 4> large = {std::byte{255}, std::byte{255}, std::byte{255},
                                          std::byte{255}};
  metadata.set_f32_array("floats", floats);
  metadata.set_i32_array("ints", ints);
  metadata.set_strings("strings", strings);
  metadata.add("flags", {MetadataType::kArray, MetadataArray{MetadataType::kBool, 3, flags, {}}});
  metadata.add("large", {MetadataType::kArray, MetadataArray{MetadataType::kU32, 1, large, {}}});
  metadata.set_i32_array("empty", {});

  EXPECT_EQ(metadata.find_f32_array("floats"), floats);
  EXPECT_EQ(metadata.find_i32_array("ints"), ints);
  EXPECT_EQ(metadata.find_f32_array("ints"), (std::vector<float>{1, 0, -2}));
  EXPECT_EQ(metadata.find_bool_array("flags"), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(metadata.find_i32_array("empty"), std::vector<int32_t>{});
  EXPECT_EQ(metadata.find_f32_array("absent"), std::nullopt);
  const auto& views = metadata.get_strings("strings");
  EXPECT_TRUE(std::equal(views.begin(), views.end(), strings.begin(), strings.end()));

  EXPECT_NE(message_of([&] { metadata.find_i32_array("floats"); }).find("element 0"),
            std::string::npos);
  EXPECT_NE(message_of([&] { metadata.find_bool_array("ints"); }).find("element 2"),
            std::string::npos);
  message_of([&] { metadata.find_i32_array("large"); });
  message_of([&] { metadata.find_i32_array("strings"); });
  message_of([&] { metadata.find_i32_array("flags"); });
  message_of([&] { metadata.get_strings("ints"); });
}

TEST(Metadata, KeysAreUniqueAndKeepTheirOrder) {
  Metadata metadata;
  EXPECT_TRUE(metadata.add("a", {MetadataType::kBool, true}));
  EXPECT_FALSE(metadata.add("a", {MetadataType::kBool, false}));
  metadata.set_u32("b", 1);
  metadata.set_u64("c", 2);
  metadata.set_u32("b", 3);
  metadata.erase("a");
  metadata.erase("absent");
  ASSERT_EQ(metadata.entries().size(), 2u);
  EXPECT_EQ(metadata.entries()[0].key, "b");
  EXPECT_EQ(metadata.get_u32("b"), 3u);
  EXPECT_EQ(metadata.get_u32("c"), 2u);
  EXPECT_FALSE(metadata.contains("a"));
}

TEST(Metadata, CopiesOutliveTheirSourceAndMoves) {
  Metadata copy;
  {
    Metadata source;
    const std::vector<std::string> strings = {"one", "two"};
    const std::vector<float> floats = {1, 2};
    source.set_strings("strings", strings);
    source.set_f32_array("floats", floats);
    source.set_string("text", "short");
    for (const auto& entry : source.entries()) copy.copy_entry(entry);
  }
  const Metadata moved = std::move(copy);
  EXPECT_EQ(moved.get_strings("strings")[1], "two");
  EXPECT_EQ(moved.find_f32_array("floats")->at(1), 2.0f);
  EXPECT_EQ(moved.get_string("text"), "short");
}

}  // namespace
}  // namespace omg

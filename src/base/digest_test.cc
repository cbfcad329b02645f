// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <gtest/gtest.h>
#include <unordered_set>

#include "base/error.h"

namespace omg {
namespace {

// From FIPS 180-4's examples.
constexpr std::string_view kAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view kTwoBlocks =
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
constexpr std::string_view kMillionA =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Digest, ReadsItsThreeFormsAndWritesLowerCase) {
  const std::string hex(kAbc);
  for (const std::string& text : {hex, "sha256:" + hex, "sha256-" + hex}) {
    const auto digest = Digest::parse(text);
    ASSERT_TRUE(digest) << text;
    EXPECT_EQ(digest->hex(), hex);
    EXPECT_EQ(digest->str(), "sha256:" + hex);
    EXPECT_EQ(digest->file_name(), "sha256-" + hex);
  }
  std::string upper = hex;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(Digest::parse(upper)->hex(), hex);
}

TEST(Digest, RefusesAllElse) {
  const std::string hex(kAbc);
  std::string not_hex = hex;
  not_hex[63] = 'g';
  std::string with_nul = hex;
  with_nul[10] = '\0';
  for (const std::string& text :
       {std::string(), hex.substr(1), hex + "0", "sha256/" + hex, "sha512:" + hex, "SHA256:" + hex,
        "sha256:" + hex + " ", " " + hex, "sha256:" + hex.substr(1), not_hex, with_nul,
        "../../../" + hex.substr(9), "sha256-../" + hex.substr(3)}) {
    EXPECT_FALSE(Digest::parse(text)) << text;
  }
  try {
    Digest::require(std::string(5000, 'x'), "layer 3");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_LT(std::string(error.what()).size(), 200u);
    EXPECT_NE(std::string(error.what()).find("layer 3"), std::string::npos);
  }
}

TEST(Digest, IsOrderedAsItsHexFormAndHashable) {
  const Digest a = sha256("abc");
  const Digest b = sha256("abd");
  EXPECT_NE(a, b);
  EXPECT_EQ(a < b, a.hex() < b.hex());
  const std::unordered_set<Digest> set = {a, b, a};
  EXPECT_EQ(set.size(), 2u);
}

TEST(Sha256, AgreesWithPublishedExamples) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(), kAbc);
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex(), kTwoBlocks);
  EXPECT_EQ(sha256(std::string(1000000, 'a')).hex(), kMillionA);
}

TEST(Sha256, DoesNotDependOnTheCutsAndCanGoOnAfterADigest) {
  const std::string text(1000000, 'a');
  Sha256 hasher;
  size_t position = 0;
  for (size_t piece = 1; position < text.size(); piece = piece * 3 + 1) {
    const size_t size = std::min(piece, text.size() - position);
    hasher.update(std::string_view(text).substr(position, size));
    position += size;
    EXPECT_EQ(hasher.digest(), sha256(text.substr(0, position)));
  }
  EXPECT_EQ(hasher.digest().hex(), kMillionA);
  Sha256 moved = std::move(hasher);
  moved.update("b");
  EXPECT_EQ(moved.digest(), sha256(text + "b"));
}

}  // namespace
}  // namespace omg

// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "net/ip_address.h"

namespace omg {
namespace {

TEST(Url, HasItsPartsInLowerCaseAndItsPortWritten) {
  const Url url = parse_url("HTTPS://Example.ORG/a/./b/../c%2Fd?x=1&y=2#part");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 443);
  EXPECT_EQ(url.path, "/a/c%2Fd");
  EXPECT_EQ(url.query, "x=1&y=2");
  EXPECT_EQ(url.origin(), "https://example.org:443");
  EXPECT_EQ(url.text(), "https://example.org/a/c%2Fd?x=1&y=2");
}

TEST(Url, OriginsDifferBySchemeHostAndPort) {
  EXPECT_EQ(parse_url("http://a:80/x").origin(), parse_url("http://A/y").origin());
  EXPECT_NE(parse_url("http://a").origin(), parse_url("https://a").origin());
  EXPECT_NE(parse_url("http://a").origin(), parse_url("http://a:81").origin());
  EXPECT_NE(parse_url("http://a").origin(), parse_url("http://a.b").origin());
  EXPECT_EQ(parse_url("http://[::1]:8080/").origin(), "http://[::1]:8080");
}

TEST(Url, OddSpellingsOfAddressesBecomeTheAddress) {
  EXPECT_EQ(parse_url("http://0x7f.1/").host, "127.0.0.1");
  EXPECT_EQ(parse_url("http://2130706433/").host, "127.0.0.1");
}

TEST(Url, RefusesWhatWeDoNotSpeak) {
  for (const char* text : {"",
                           "example.org",
                           "/etc/passwd",
                           "ftp://a/b",
                           "file:///etc/passwd",
                           "gopher://a/",
                           "http://",
                           "http://user@a/",
                           "http://user:secret@a/",
                           "http://a:0/",
                           "http://a:65536/",
                           "http://a:x/",
                           "http://a b/",
                           "http://a/b c",
                           "http://a/\r\nX: y",
                           "http://[::1",
                           "http://[fe80::1%25eth0]/",
                           "javascript:alert(1)",
                           "http://a\x01/",
                           "http://A%AAhu/x",
                           "http://a%2fb/x",
                           "http://m\xc3\xbcnchen.example/x",
                           "http://a%00b/",
                           "http://a;b/"}) {
    EXPECT_THROW(parse_url(text), Error) << text;
  }
  EXPECT_THROW(parse_url("http://a/" + std::string(9000, 'x')), Error);
}

TEST(Url, ItsTextMeansTheSame) {
  for (const char* text :
       {"http://EXAMPLE.org", "https://a_b.c-d:8443/x?y", "http://[2001:DB8::1]/z",
        "http://[::ffff:1.2.3.4]:81/", "http://%61.example/%61"}) {
    const Url url = parse_url(text);
    EXPECT_EQ(parse_url(url.text()).text(), url.text()) << text;
  }
}

TEST(Url, ResolvesAsBrowsersDo) {
  const Url base = parse_url("https://hub.example/api/models?full=1");
  EXPECT_EQ(resolve_url(base, "/x?y").text(), "https://hub.example/x?y");
  EXPECT_EQ(resolve_url(base, "next").text(), "https://hub.example/api/next");
  EXPECT_EQ(resolve_url(base, "?cursor=2").text(), "https://hub.example/api/models?cursor=2");
  EXPECT_EQ(resolve_url(base, "//cdn.example/z").text(), "https://cdn.example/z");
  EXPECT_EQ(resolve_url(base, "http://other/").text(), "http://other/");
  EXPECT_THROW(resolve_url(base, "file:///etc/passwd"), Error);
  EXPECT_THROW(resolve_url(base, "https://user:pass@hub.example/"), Error);
}

TEST(Url, EncodesForPathsAndQueries) {
  EXPECT_EQ(percent_encode("a b/c?d%\xc3\xa9~"), "a%20b%2Fc%3Fd%25%C3%A9~");
  EXPECT_EQ(percent_encode("a b/c", "/"), "a%20b/c");
}

TEST(IpAddress, TellsTheInternetFromTheRest) {
  for (const char* text : {"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111",
                           "[2a00:1450::1]", "::ffff:8.8.8.8", "64:ff9b::808:808"}) {
    EXPECT_EQ(is_public_address(std::string_view(text)), true) << text;
  }
  for (const char* text :
       {"0.0.0.0",         "10.0.0.1",         "100.64.0.1",      "127.0.0.1",   "127.8.9.1",
        "169.254.169.254", "172.16.0.1",       "172.31.255.255",  "192.168.1.1", "192.0.0.8",
        "198.18.0.1",      "224.0.0.1",        "255.255.255.255", "::",          "::1",
        "[::1]",           "fe80::1",          "fe80::1%eth0",    "fc00::1",     "fd12::1",
        "ff02::1",         "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::127.0.0.1", "64:ff9b::a00:1",
        "2002:7f00:1::",   "2001:db8::1",      "2001::1",         "fec0::1"}) {
    EXPECT_EQ(is_public_address(std::string_view(text)), false) << text;
  }
  EXPECT_EQ(is_public_address(std::string_view("example.org")), std::nullopt);
  EXPECT_EQ(is_public_address(std::string_view("")), std::nullopt);
}

TEST(IpAddress, KnowsBlocks) {
  EXPECT_TRUE(lies_in_block("10.1.2.3", "10.0.0.0/8"));
  EXPECT_FALSE(lies_in_block("11.1.2.3", "10.0.0.0/8"));
  EXPECT_TRUE(lies_in_block("[fd00::5]", "fd00::/8"));
  EXPECT_TRUE(lies_in_block("1.2.3.4", "0.0.0.0/0"));
  EXPECT_FALSE(lies_in_block("1.2.3.4", "1.2.3.4/33"));
  EXPECT_FALSE(lies_in_block("1.2.3.4", "1.2.3.4"));
  EXPECT_FALSE(lies_in_block("host", "10.0.0.0/8"));
}

}  // namespace
}  // namespace omg

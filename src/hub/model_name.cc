// SPDX-License-Identifier: Apache-2.0
//
// The grammar's parser: splits first, then checks each part against what its place allows.
#include "hub/model_name.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/utf8.h"
#include "net/url.h"

namespace omg {
namespace {

constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxPathBytes = 4095;  // PATH_MAX of Linux without its NUL
constexpr size_t kMaxNamespaces = 8;

constexpr std::array<std::string_view, 4> kHubHosts = {"hf.co", "huggingface.co", "www.hf.co",
                                                       "www.huggingface.co"};

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  std::string shown;
  for (const char c : text.substr(0, 100)) {
    const auto byte = static_cast<unsigned char>(c);
    shown += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "'" + replace_invalid_utf8(shown) + "' is no model name: " + why +
                  "; write org/repo[:QUANT][@revision], name[:tag], host/namespace/name:tag, "
                  "https://…/file.gguf or a path");
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

bool is_hub_host(std::string_view host) {
  return std::find(kHubHosts.begin(), kHubHosts.end(), lower(host)) != kHubHosts.end();
}

bool is_word(char c) {
  return is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
}

bool ends_with_gguf(std::string_view text) {
  if (text.size() < 6) return false;
  return lower(text.substr(text.size() - 5)) == ".gguf" && text[text.size() - 6] != '/';
}

/// A part of 1 to `most` letters, digits, '_', '-' and '.', begun by a letter, digit or '_'.
void check_word(std::string_view whole, std::string_view part, const char* what, size_t most) {
  const std::string shown = what;
  if (part.empty()) refuse(whole, "its " + shown + " is empty");
  if (part.size() > most) {
    refuse(whole, "its " + shown + " has more than " + std::to_string(most) + " characters");
  }
  if (!std::all_of(part.begin(), part.end(), is_word)) {
    refuse(whole, "its " + shown + " may hold only letters, digits, '_', '-' and '.'");
  }
  if (!is_alphanumeric(part.front()) && part.front() != '_') {
    refuse(whole, "its " + shown + " must begin with a letter or digit");
  }
  if (part.find("..") != std::string_view::npos) refuse(whole, "its " + shown + " holds '..'");
}

/// Hugging Face's rule for both halves of a repository's id.
void check_hub_part(std::string_view whole, std::string_view part, const char* what) {
  check_word(whole, part, what, 96);
  if (part.find("--") != std::string_view::npos || part.back() == '-' || part.back() == '.') {
    refuse(whole, "its " + std::string(what) + " holds '--' or ends in '-' or '.'");
  }
}

void check_revision(std::string_view whole, std::string_view revision) {
  const auto is_allowed = [](char c) { return is_word(c) || c == '/' || c == '+' || c == '='; };
  if (revision.empty() || revision.size() > 255 ||
      !std::all_of(revision.begin(), revision.end(), is_allowed)) {
    refuse(whole, "its revision must be 1 to 255 letters, digits and any of '_-./+='");
  }
  // What git refuses in a reference (git-check-ref-format), and what could lead out of a folder.
  std::string_view rest = revision;
  while (true) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part.empty() || part.front() == '.' || part.front() == '-' || part.back() == '.' ||
        part.find("..") != std::string_view::npos || part.ends_with(".lock")) {
      refuse(whole, "its revision is none that git knows");
    }
    if (part.size() == rest.size()) break;
    rest.remove_prefix(part.size() + 1);
  }
}

/// "host" or "host:port", in lower case.
std::string check_host(std::string_view whole, std::string_view text) {
  std::string host = lower(text);
  const size_t colon = host.find(':');
  const std::string_view name = std::string_view(host).substr(0, colon);
  if (colon != std::string::npos) {
    uint16_t port = 0;
    const char* begin = host.data() + colon + 1;
    const char* end = host.data() + host.size();
    const auto [stop, error] = std::from_chars(begin, end, port);
    if (error != std::errc() || stop != end || port == 0 || *begin == '0') {
      refuse(whole, "its port is not a number from 1 to 65535");
    }
  }
  if (name.empty() || name.size() > 253) refuse(whole, "its host is empty or too long");
  std::string_view rest = name;
  while (true) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    const bool is_fine = !label.empty() && label.size() <= 63 && label.front() != '-' &&
                         label.back() != '-' && std::all_of(label.begin(), label.end(), [](char c) {
                           return is_alphanumeric(c) || c == '-';
                         });
    if (!is_fine) refuse(whole, "'" + std::string(name) + "' is no host");
    if (label.size() == rest.size()) break;
    rest.remove_prefix(label.size() + 1);
  }
  // Ollama's pages stand beside its registry.
  if (host == "ollama.com" || host == "www.ollama.com") host = "registry.ollama.ai";
  return host;
}

/// Cuts what follows the first `mark` off `text`; nothing if there is no mark.
std::optional<std::string_view> cut_after(std::string_view& text, char mark) {
  const size_t place = text.find(mark);
  if (place == std::string_view::npos) return std::nullopt;
  const std::string_view after = text.substr(place + 1);
  text = text.substr(0, place);
  return after;
}

std::vector<std::string_view> split(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t place = text.find(mark);
    parts.push_back(text.substr(0, place));
    if (place == std::string_view::npos) return parts;
    text.remove_prefix(place + 1);
  }
}

/// `rest` is "org/repo[:QUANT][@REVISION]".
HuggingFaceName parse_hub_name(std::string_view whole, std::string_view rest) {
  HuggingFaceName name;
  if (const auto revision = cut_after(rest, '@')) {
    check_revision(whole, *revision);
    name.revision = *revision;
  }
  if (const auto quantization = cut_after(rest, ':')) {
    check_word(whole, *quantization, "quantisation", 64);
    if (*quantization != "latest") name.quantization = *quantization;  // as Ollama writes "any"
  }
  const auto parts = split(rest, '/');
  if (parts.size() != 2) refuse(whole, "Hugging Face's repositories are named org/repo");
  check_hub_part(whole, parts[0], "organisation");
  check_hub_part(whole, parts[1], "repository");
  if (parts[1].ends_with(".git")) refuse(whole, "its repository ends in '.git'");
  name.organization = parts[0];
  name.repository = parts[1];
  return name;
}

/// `rest` is "[namespace/…]name[:tag][@digest]".
RegistryName parse_registry_name(std::string_view whole, std::string scheme, std::string_view host,
                                 std::string_view rest) {
  RegistryName name;
  name.scheme = std::move(scheme);
  name.host = check_host(whole, host);
  const auto digest = cut_after(rest, '@');
  const auto tag = cut_after(rest, ':');
  if (digest) {
    if (tag) refuse(whole, "it has a tag and a digest; keep one");
    name.digest = Digest::parse(*digest);
    if (!name.digest || !digest->starts_with("sha256:")) {
      refuse(whole, "what follows '@' must be sha256: and 64 hexadecimal digits");
    }
  } else {
    name.tag = tag.value_or("latest");
    check_word(whole, name.tag, "tag", 128);
  }
  const auto parts = split(rest, '/');
  if (parts.size() > kMaxNamespaces) refuse(whole, "it has more than 8 parts after the host");
  for (const std::string_view part : parts) check_word(whole, part, "path", 128);
  name.repository = parts.size() == 1 ? "library/" + std::string(parts[0]) : std::string(rest);
  return name;
}

ModelName parse_web_name(std::string_view whole) {
  // The same text may be a page, a file or Ollama's way to name a registry with its scheme.
  const size_t scheme_end = whole.find("://");
  const std::string scheme = lower(whole.substr(0, scheme_end));
  std::string_view rest = whole.substr(scheme_end + 3);
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) refuse(whole, "the URL names no file");
  const std::string host = lower(rest.substr(0, slash));
  const std::string_view path = rest.substr(slash + 1);
  if (ends_with_gguf(path.substr(0, path.find_first_of("?#")))) {
    Url url = parse_url(whole);
    if (!ends_with_gguf(url.path)) refuse(whole, "the URL names no .gguf file");
    // The page of a file, /org/repo/blob/…, stands for the file. By the URL as it was understood:
    // its host may have been written in other ways.
    const std::string authority = url.base().substr(url.scheme.size() + 3);
    const auto pages = split(std::string_view(url.path).substr(1), '/');
    if (is_hub_host(authority) && pages.size() > 3 && pages[2] == "blob") {
      url.path.replace(pages[0].size() + pages[1].size() + 3, 4, "resolve");
    }
    return UrlName{url.text()};
  }
  if (!is_hub_host(host)) return parse_registry_name(whole, scheme, host, path);
  const auto parts = split(path.substr(0, path.find_first_of("?#")), '/');
  if (parts.size() >= 4 && parts[2] == "tree") {
    const size_t begin = parts[0].size() + parts[1].size() + 7;
    return parse_hub_name(whole, std::string(parts[0]) + "/" + std::string(parts[1]) + "@" +
                                     std::string(path.substr(begin)));
  }
  return parse_hub_name(whole, path);
}

bool looks_like_path(std::string_view text) {
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
         text.starts_with("~/") || text == "." || text == ".." || text == "~" ||
         ends_with_gguf(text);
}

AliasName parse_alias(std::string_view whole) {
  AliasName alias;
  std::string_view name = whole;
  if (name.find('@') != std::string_view::npos) refuse(whole, "an alias has no revision");
  if (const auto tag = cut_after(name, ':')) {
    check_word(whole, *tag, "tag", 128);
    alias.tag = *tag;
  }
  check_word(whole, name, "name", 128);
  alias.name = name;
  return alias;
}

}  // namespace

ModelName parse_model_name(std::string_view text) {
  if (text.empty()) refuse(text, "it is empty");
  if (text.size() > kMaxPathBytes) refuse(text, "it has more than 4095 bytes");
  if (!is_valid_utf8(text)) refuse(text, "it is no UTF-8");
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) refuse(text, "it holds control characters");
  }
  const std::string scheme = lower(text.substr(0, std::min(text.find("://"), text.size())));
  const bool has_scheme = scheme.size() < text.size();
  if (has_scheme && (scheme == "http" || scheme == "https")) return parse_web_name(text);
  if (looks_like_path(text) && !has_scheme) return PathName{std::string(text)};
  if (text.size() > kMaxNameBytes) refuse(text, "it has more than 1024 bytes");
  if (has_scheme) refuse(text, "of URLs only http and https are understood");

  // A revision may hold '/', so it does not count when parts are counted.
  const std::string_view body = text.substr(0, text.find('@'));
  const size_t slash = body.find('/');
  if (slash == std::string_view::npos) return parse_alias(text);
  const std::string host = lower(body.substr(0, slash));
  const size_t parts = static_cast<size_t>(std::count(body.begin(), body.end(), '/')) + 1;
  if (is_hub_host(host)) return parse_hub_name(text, text.substr(slash + 1));
  const bool is_surely_host = host == "localhost" || host.find(':') != std::string::npos;
  if (parts == 2 && !is_surely_host) return parse_hub_name(text, text);
  if (is_surely_host || host.find('.') != std::string::npos) {
    return parse_registry_name(text, "", host, text.substr(slash + 1));
  }
  refuse(text, "of three parts the first must be a host");
}

namespace {

struct Writer {
  std::string operator()(const AliasName& name) const {
    return name.name + (name.tag.empty() ? "" : ":" + name.tag);
  }
  std::string operator()(const HuggingFaceName& name) const {
    const std::string rest = name.id() +
                             (name.quantization.empty() ? "" : ":" + name.quantization) +
                             (name.revision.empty() ? "" : "@" + name.revision);
    if (ends_with_gguf(rest)) return rest + ":latest";  // else it would be a path
    const bool is_like_host =
        lower(name.organization) == "localhost" || is_hub_host(name.organization);
    return is_like_host ? "hf.co/" + rest : rest;
  }
  std::string operator()(const RegistryName& name) const {
    const std::string scheme = name.scheme.empty() ? "" : name.scheme + "://";
    const std::string end = name.digest ? "@" + name.digest->str() : ":" + name.tag;
    return scheme + name.host + "/" + name.repository + end;
  }
  std::string operator()(const UrlName& name) const { return name.url; }
  std::string operator()(const PathName& name) const { return name.path; }
};

}  // namespace

std::string to_string(const ModelName& name) {
  return std::visit(Writer{}, name);
}

}  // namespace omg

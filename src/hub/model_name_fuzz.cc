// SPDX-License-Identifier: Apache-2.0
//
// Names from anywhere: what parses has one text that parses to the same, and holds nothing that
// could leave a folder or forge a line.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/near_names.h"
#include "hub/model_name.h"

namespace {

void require(bool fact, const char* what, const std::string& text) {
  if (fact) return;
  std::fprintf(stderr, "%s: '%s'\n", what, text.c_str());
  std::abort();
}

void check_part(const std::string& part, const std::string& text) {
  require(part.find("..") == std::string::npos, "two dots", text);
  for (const char c : part) {
    require(static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '\\', "odd character", text);
  }
}

struct Checker {
  const std::string& text;
  void operator()(const omg::AliasName& name) const {
    check_part(name.name, text);
    check_part(name.tag, text);
    require(name.name.find('/') == std::string::npos, "slash", text);
  }
  void operator()(const omg::HuggingFaceName& name) const {
    for (const auto& part : {name.organization, name.repository, name.quantization}) {
      check_part(part, text);
      require(part.find('/') == std::string::npos, "slash", text);
    }
    check_part(name.revision, text);
  }
  void operator()(const omg::RegistryName& name) const {
    check_part(name.host, text);
    check_part(name.repository, text);
    check_part(name.tag, text);
  }
  void operator()(const omg::UrlName& name) const {
    require(name.url.starts_with("http"), "no http", text);
  }
  void operator()(const omg::PathName&) const {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const omg::ModelName name = omg::parse_model_name(text);
    std::visit(Checker{text}, name);
    const std::string canonical = omg::to_string(name);
    omg::ModelName again;
    try {
      again = omg::parse_model_name(canonical);
    } catch (const omg::Error&) {
      require(false, "its own text does not parse", text);
    }
    require(again == name, "its own text means another", text);
  } catch (const omg::Error&) {  // refused
  }
  omg::near_names(text, {"llama3", "mistral", text});
  return 0;
}

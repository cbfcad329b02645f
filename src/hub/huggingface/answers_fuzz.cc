// SPDX-License-Identifier: Apache-2.0
//
// JSON from a hub that means harm: whatever is read, no path leaves its folder, and a choice of
// files is a choice of files that are there.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "hub/huggingface/huggingface.h"
#include "hub/selection.h"

namespace {

void check(const std::vector<omg::RemoteFile>& files) {
  for (const omg::RemoteFile& file : files) {
    omg::check_remote_path(file.path, "fuzzer");  // throws on what must not have passed
    if (file.url.find("/../") != std::string::npos) std::abort();
  }
}

template <typename Step>
void survive(Step step) {
  try {
    step();
  } catch (const omg::Error&) {  // refused
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  omg::RemoteModel model;
  survive([&] { model = omg::parse_model_info(text, "http://hub/"); });
  survive([&] { omg::parse_tree_page(text, "http://hub/", model.files); });
  try {
    check(model.files);
  } catch (const omg::Error&) {
    std::abort();
  }
  survive([&] {
    omg::SelectionOptions options;
    options.memory_bytes = 1000;
    for (const size_t index : omg::select_files(model.files, options, "m").files) {
      if (index >= model.files.size()) std::abort();
    }
  });
  survive([&] { (void)model.total_bytes(); });
  survive([&] { omg::parse_search_page(text); });
  omg::next_link(text);
  return 0;
}

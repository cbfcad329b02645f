// SPDX-License-Identifier: Apache-2.0
#include "hub/model_name.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace omg {
namespace {

const std::string kHex(64, 'a');

struct Case {
  std::string text;
  ModelName name;
  std::string canonical;  // "" = the text
};

TEST(ModelName, ReadsEveryFormOfTheSpecification) {
  const Case cases[] = {
      {"llama3", AliasName{"llama3", ""}, ""},
      {"llama3.2:1b", AliasName{"llama3.2", "1b"}, ""},
      {"my_model-2:latest", AliasName{"my_model-2", "latest"}, ""},
      {"org/repo", HuggingFaceName{"org", "repo", "", ""}, ""},
      {"Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M",
       HuggingFaceName{"Qwen", "Qwen2.5-7B-Instruct-GGUF", "Q4_K_M", ""}, ""},
      {"org/repo@main", HuggingFaceName{"org", "repo", "", "main"}, ""},
      {"org/repo@refs/pr/1", HuggingFaceName{"org", "repo", "", "refs/pr/1"}, ""},
      {"org/repo:q8_0@v1.0", HuggingFaceName{"org", "repo", "q8_0", "v1.0"}, ""},
      {"hf.co/org/repo:Q4_0", HuggingFaceName{"org", "repo", "Q4_0", ""}, "org/repo:Q4_0"},
      {"HF.co/org/repo", HuggingFaceName{"org", "repo", "", ""}, "org/repo"},
      {"huggingface.co/org/repo:latest", HuggingFaceName{"org", "repo", "", ""}, "org/repo"},
      {"https://HuggingFace.co/org/repo", HuggingFaceName{"org", "repo", "", ""}, "org/repo"},
      {"https://huggingface.co/org/repo/tree/refs/pr/2",
       HuggingFaceName{"org", "repo", "", "refs/pr/2"}, "org/repo@refs/pr/2"},
      {"a.b/c", HuggingFaceName{"a.b", "c", "", ""}, ""},
      {"hf.co/localhost/x", HuggingFaceName{"localhost", "x", "", ""}, ""},
      {"org/x.gguf:latest", HuggingFaceName{"org", "x.gguf", "", ""}, ""},
      {"registry.example/ns/name:tag", RegistryName{"", "registry.example", "ns/name", "tag", {}},
       ""},
      {"Registry.Example:5000/ns/name",
       RegistryName{"", "registry.example:5000", "ns/name", "latest", {}},
       "registry.example:5000/ns/name:latest"},
      {"localhost:5000/name", RegistryName{"", "localhost:5000", "library/name", "latest", {}},
       "localhost:5000/library/name:latest"},
      {"localhost/name:1", RegistryName{"", "localhost", "library/name", "1", {}},
       "localhost/library/name:1"},
      {"ghcr.io/a/b/c:v1", RegistryName{"", "ghcr.io", "a/b/c", "v1", {}}, ""},
      {"http://reg/a/b:1", RegistryName{"http", "reg", "a/b", "1", {}}, ""},
      {"ollama.com/library/llama3:8b",
       RegistryName{"", "registry.ollama.ai", "library/llama3", "8b", {}},
       "registry.ollama.ai/library/llama3:8b"},
      {"r.io/a/b@sha256:" + kHex, RegistryName{"", "r.io", "a/b", "", Digest::parse(kHex)}, ""},
      {"https://example.org/m/file.gguf", UrlName{"https://example.org/m/file.gguf"}, ""},
      {"HTTPS://Example.org/file.GGUF?download=true",
       UrlName{"https://example.org/file.GGUF?download=true"},
       "https://example.org/file.GGUF?download=true"},
      {"hf.co/HF.co/repo", HuggingFaceName{"HF.co", "repo", "", ""}, "hf.co/HF.co/repo"},
      {"https://huggingface.co:443/org/repo/blob/main/a.gguf",
       UrlName{"https://huggingface.co/org/repo/resolve/main/a.gguf"},
       "https://huggingface.co/org/repo/resolve/main/a.gguf"},
      {"https://huggingface.co/org/repo/blob/main/blob/a.gguf",
       UrlName{"https://huggingface.co/org/repo/resolve/main/blob/a.gguf"},
       "https://huggingface.co/org/repo/resolve/main/blob/a.gguf"},
      {"https://huggingface.co/org/repo/blob/main/a.gguf",
       UrlName{"https://huggingface.co/org/repo/resolve/main/a.gguf"},
       "https://huggingface.co/org/repo/resolve/main/a.gguf"},
      {"model.gguf", PathName{"model.gguf"}, ""},
      {"models/a b.gguf", PathName{"models/a b.gguf"}, ""},
      {"/models/folder", PathName{"/models/folder"}, ""},
      {"./folder", PathName{"./folder"}, ""},
      {"../x", PathName{"../x"}, ""},
      {"~/m", PathName{"~/m"}, ""},
      {".", PathName{"."}, ""},
  };
  for (const Case& c : cases) {
    ModelName name;
    ASSERT_NO_THROW(name = parse_model_name(c.text)) << c.text;
    EXPECT_EQ(name, c.name) << c.text << " -> " << to_string(name);
    EXPECT_EQ(to_string(name), c.canonical.empty() ? c.text : c.canonical);
    EXPECT_EQ(parse_model_name(to_string(name)), name) << c.text;
  }
}

TEST(ModelName, RefusesTheRest) {
  const std::string cases[] = {
      "",
      " ",
      "a b",
      "a\nb",
      "a\x01",
      "caf\xc3\xa9",
      "\xff",
      std::string("a\0b", 3),
      ":tag",
      "name:",
      "name:a:b",
      "-name",
      ".hidden",
      "a..b",
      "name@rev",
      "org/",
      "/../",
      "org//repo",
      "org/re..po",
      "org/../repo",
      "org/-repo",
      "org/repo-",
      "org/repo.",
      "org/re--po",
      "org/repo.git",
      "org/repo:",
      "org/repo:a/b",
      "org/repo:Q4:Q5",
      "org/repo@",
      "org/repo@..",
      "org/repo@a/../b",
      "org/repo@/a",
      "org/repo@a/",
      "org/repo@-x",
      "org/repo@a.lock",
      "org/repo@rev:Q4_0",
      "org/repo@a b",
      "org/repo@" + std::string(256, 'a'),
      std::string(97, 'a') + "/repo",
      "org/" + std::string(97, 'a'),
      std::string(129, 'a'),
      "hf.co/repo",
      "hf.co/a/b/c",
      "a/b/c",
      "a/b/c:tag",
      "registry.example/ns/../name",
      "registry.example/ns/name:",
      "registry.example/ns/na me",
      "registry.example:0/a/b",
      "registry.example:70000/a/b",
      "registry.example:x/a/b",
      "-bad-.example/a/b",
      "a_b.example:1/a/b",
      "r.io/1/2/3/4/5/6/7/8/9",
      "r.io/a/b@sha256:abc",
      "r.io/a/b:t@sha256:" + kHex,
      "r.io/a/b@" + kHex,
      "https://",
      "https://example.org",
      "https://user:pw@example.org/a.gguf",
      "https://host?x=y/a.gguf",
      "ftp://example.org/a.gguf",
      "file:///etc/passwd",
      "https://huggingface.co/org",
      "C:\\models",
      std::string(5000, '/'),
  };
  for (const std::string& text : cases) {
    if (text == "/../") continue;  // a path, and the user's own business
    try {
      const ModelName name = parse_model_name(text);
      ADD_FAILURE() << "'" << text << "' became " << to_string(name) << " (kind " << name.index()
                    << ")";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("; "), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace omg

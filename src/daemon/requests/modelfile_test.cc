// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests/modelfile.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "daemon/requests/model_settings.h"
#include "runtimes/parameters.h"

namespace omg {
namespace {

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::kInvalidArgument ||
                error.code() == ErrorCode::kLimitExceeded);
    return error.what();
  }
  return "no error";
}

TEST(Modelfile, ReadsEveryCommand) {
  const Modelfile file = parse_modelfile(
      "# a comment\r\n"
      "FROM llama3.2:1b\r\n"
      "from ./projector.gguf\n"
      "\n"
      "  Parameter TEMPERATURE 0.5\n"
      "PARAMETER num_ctx 4096\n"
      "PARAMETER stop \"<|end|>\"\n"
      "PARAMETER stop two words\n"
      "PARAMETER num_gpu 99\n"
      "TEMPLATE \"\"\"{{ .System }}\n"
      "# no comment, \"quoted\"\n"
      "{{ .Prompt }}\"\"\"\n"
      "SYSTEM \"You are\nMario.\"\n"
      "ADAPTER ./lora.gguf\n"
      "LICENSE one\n"
      "LICENSE \"\"\"two\"\"\"\n"
      "MESSAGE User   Hello there \n"
      "MESSAGE assistant \"\"\"Hi\n\"\"\"\n"
      "REQUIRES 0.14.0\n"
      "PARSER qwen3\n"
      "RENDERER qwen3");
  EXPECT_EQ(file.from, (std::vector<std::string>{"llama3.2:1b", "./projector.gguf"}));
  EXPECT_EQ(file.adapters, std::vector<std::string>{"./lora.gguf"});
  EXPECT_EQ(json::serialize(file.settings.parameters),
            R"({"temperature":5E-1,"num_ctx":4096,"stop":["<|end|>","two words"],"num_gpu":99})");
  EXPECT_EQ(file.settings.chat_template, "{{ .System }}\n# no comment, \"quoted\"\n{{ .Prompt }}");
  EXPECT_EQ(file.settings.template_syntax, "go");
  EXPECT_EQ(file.settings.system, "You are\nMario.");
  EXPECT_EQ(file.settings.license_text, "one\ntwo");
  ASSERT_EQ(file.settings.messages.size(), 2u);
  EXPECT_EQ(file.settings.messages[0].role, "user");
  EXPECT_EQ(file.settings.messages[0].content, "Hello there");
  EXPECT_EQ(file.settings.messages[1].content, "Hi\n");
  EXPECT_EQ(file.least_version, "0.14.0");
  ASSERT_EQ(file.warnings.size(), 2u);
  EXPECT_EQ(file.warnings[0],
            "line 22: PARSER has no effect: the model file's own template and formats are used");
}

TEST(Modelfile, SaysWhatIsWrongAndWhere) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "there is no FROM line"},
      {"# FROM x\n", "there is no FROM line"},
      {"SYSTEM x", "there is no FROM line"},
      {"FROM x\nRUN y", "line 2: command must be one of"},
      {"FROM x\nFROMAGE y", "line 2: command must be one of"},
      {"FROM", "line 1: the model's name is missing"},
      {"FROM \"\"", "line 1: the model's name is missing"},
      {"FROM \"a\nb\"", "line 1: the model's name goes over more than one line"},
      {"FROM x\nADAPTER", "line 2: the adapter's file is missing"},
      {"FROM x\nPARAMETER", "line 2: the parameter's name is missing"},
      {"FROM x\nPARAMETER top_k", "line 2: the value of top_k is missing"},
      {"FROM x\nPARAMETER top_k 1.5", "line 2: top_k cannot be '1.5'"},
      {"FROM x\nPARAMETER top_k -1", "line 2: top_k cannot be '-1'"},
      {"FROM x\nPARAMETER temperature hot", "line 2: temperature cannot be 'hot'"},
      {"FROM x\nPARAMETER tfs_z 1", "line 2: unknown parameter 'tfs_z'"},
      {"FROM x\nPARAMETER stop " + std::string(kMaxStopBytes + 1, 'x'), "a stop string has 1025"},
      {"FROM x\n\nMESSAGE tool hi", "line 3: message role must be one of"},
      {"FROM x\nMESSAGE", "line 2: message role must be one of"},
      {"FROM x\nSYSTEM \"\"\"a\nb\"\"\nFROM y\n", "line 2: the text that begins with \"\"\" never"},
      {"FROM x\nSYSTEM \"a", "line 2: the text that begins with \" never ends"},
      {"FROM x\nSYSTEM \"", "line 2: the text that begins with \" never ends"},
      {"FROM x\nSYSTEM \"\"\"\"\"", "line 2: the text that begins with \"\"\" never ends"},
      {"FROM x\nREQUIRES 1.0 or so", "line 2: requires must be a version"},
      {"FROM x\nREQUIRES", "line 2: the version is missing"},
      {std::string("FROM x\0", 7), "no text in UTF-8"},
      {"FROM \xff", "no text in UTF-8"},
      {std::string(kMaxModelfileBytes + 1, '\n'), "the limit is 4194304"},
  };
  for (const auto& [text, why] : cases) {
    const std::string error = error_of([&, &t = text] { parse_modelfile(t); });
    EXPECT_NE(error.find(why), std::string::npos) << text.substr(0, 80) << ": " << error;
    EXPECT_TRUE(error.starts_with("cannot read the Modelfile: ")) << error;
  }
  std::string stops = "FROM x\n";
  for (size_t i = 0; i <= kMaxStops; ++i) stops += "PARAMETER stop x\n";
  EXPECT_NE(error_of([&] { parse_modelfile(stops); }).find("too many stop"), std::string::npos);
}

TEST(Modelfile, WritesWhatItReads) {
  const std::vector<std::string> texts = {
      "",       "plain",  " spaced ",     "two\nlines", "\nbegins",     "ends\n",
      "\"",     "\"q\"",  "ends with \"", "\"\"",       "in\"\"\"side", "# x",
      "\"\n\"", "\"\"\n", "ü €",          "\t",         "a\"\"",        "FROM y\nSYSTEM z"};
  for (const std::string& text : texts) {
    Modelfile file;
    file.from = {"a model", "b"};
    file.adapters = {"c"};
    file.settings.system = text;
    file.settings.chat_template = text;
    file.settings.license_text = text;
    file.settings.messages = {{"user", text}, {"assistant", "x"}};
    file.settings.parameters = {{"num_ctx", 7}, {"top_p", 0.1}};
    if (!text.empty()) file.settings.parameters["stop"] = json::array{json::value(text), "y"};
    file.least_version = "1.2.3";
    const std::string written = write_modelfile(file);
    const Modelfile again = parse_modelfile(written);
    EXPECT_EQ(again.from, file.from);
    EXPECT_EQ(again.adapters, file.adapters);
    EXPECT_EQ(again.settings.system, text) << written;
    EXPECT_EQ(again.settings.chat_template, text);
    EXPECT_EQ(again.settings.license_text, text);
    ASSERT_EQ(again.settings.messages.size(), 2u) << written;
    EXPECT_EQ(again.settings.messages[0].content, text);
    EXPECT_EQ(again.settings.parameters, file.settings.parameters);
    EXPECT_EQ(again.least_version, "1.2.3");
    EXPECT_EQ(write_modelfile(again), written);
  }
}

TEST(Modelfile, TextsCannotAddCommands) {
  ModelInspection inspection;
  inspection.model = StoredModel(StoreName("org/repo:Q4_K_M"));
  inspection.model.settings.system = "a\"\"\"\nFROM evil\n\"\"\"b";
  inspection.model.settings.messages = {{"user\nFROM evil", "x"}, {"user", "y"}};
  inspection.model.settings.parameters = {{"x 1\nFROM evil", 1}, {"max_tokens", 5}};
  const std::string text = modelfile_of(inspection);
  const Modelfile file = parse_modelfile(text);
  EXPECT_EQ(file.from, std::vector<std::string>{"org/repo:Q4_K_M"}) << text;
  EXPECT_EQ(file.settings.system, "a'''\nFROM evil\n'''b");
  EXPECT_EQ(file.settings.messages.size(), 1u);
  EXPECT_EQ(json::serialize(file.settings.parameters), R"({"num_predict":5})");
  inspection.model.base = "llama3.2:1b";
  EXPECT_EQ(parse_modelfile(modelfile_of(inspection)).from[0], "llama3.2:1b");
}

TEST(ModelSettings, ChecksParameters) {
  EXPECT_EQ(json::serialize(checked_model_parameters({{"top_k", 40.0},
                                                      {"temperature", 1},
                                                      {"stop", "a"},
                                                      {"seed", nullptr},
                                                      {"use_mmap", true},
                                                      {"num_predict", -1},
                                                      {"max_tokens", 3}})),
            R"({"top_k":40,"temperature":1E0,"stop":["a"],"use_mmap":true,"max_tokens":3})");
  const std::vector<std::pair<json::object, std::string>> cases = {
      {{{"nope", 1}}, "unknown parameter 'nope'"},
      {{{"top_k", "1"}}, "'top_k' must be a number"},
      {{{"top_k", 1e300}}, "top_k cannot be"},
      {{{"top_p", 2}}, "top_p cannot be '2'"},
      {{{"stop", 1}}, "stop must be an array of strings"},
      {{{"stop", json::array{1}}}, "stop must be an array of strings"},
      {{{"stop", json::array{""}}}, "stop cannot be empty"},
      {{{"num_gpu", "all"}}, "'num_gpu' has a wrong type"},
  };
  for (const auto& [given, why] : cases) {
    const std::string error = error_of([&, &g = given] { checked_model_parameters(g); });
    EXPECT_NE(error.find(why), std::string::npos) << error;
  }
}

TEST(ModelSettings, OneParameterHasOneName) {
  const json::object base = {{"num_ctx", 1}, {"stop", json::array{"a"}}, {"top_k", 2}};
  const json::object merged = merged_model_parameters(base, {{"context_length", 5}, {"top_k", 3}});
  EXPECT_EQ(json::serialize(merged), R"({"top_k":3,"stop":["a"],"context_length":5})");
}

TEST(ModelSettings, TellsGosTemplatesFromJinja) {
  for (const char* go : {"{{ .Prompt }}", "{{- if .System }}x{{ end }}", "a {{$x}}", "{{range $i}}",
                         "{{ /* note */ }}", "{{ bos }}{{.Messages}}"}) {
    EXPECT_EQ(template_syntax_of(go), "go") << go;
  }
  for (const char* jinja : {"", "plain", "{{ bos_token }}", "{% if x %}{{ .5 }}{% endif %}",
                            "{{ messages[0].content }}", "{{ endings }}"}) {
    EXPECT_EQ(template_syntax_of(jinja), "jinja") << jinja;
  }
}

}  // namespace
}  // namespace omg

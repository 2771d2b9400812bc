#include "model/tokenizer/jinja/expression_parser.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "model/tokenizer/jinja/number.h"

namespace weft::jinja {
namespace {

constexpr int kMaxNesting = 100;

}  // namespace

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (parser.depth_ >= kMaxNesting) parser.fail("blocks and expressions nested too deeply");
  ++parser.depth_;
}

const Token& ExpressionParser::peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

Token ExpressionParser::next() {
  Token token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::is_operator(std::string_view text, size_t ahead) const {
  return peek(ahead).kind == TokenKind::kOperator && peek(ahead).text == text;
}

bool ExpressionParser::is_name(std::string_view text, size_t ahead) const {
  return peek(ahead).kind == TokenKind::kName && peek(ahead).text == text;
}

bool ExpressionParser::accept_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  next();
  return true;
}

bool ExpressionParser::accept_name(std::string_view text) {
  if (!is_name(text)) return false;
  next();
  return true;
}

void ExpressionParser::expect_operator(std::string_view text) {
  if (!accept_operator(text)) fail("expected '" + std::string(text) + "'");
}

void ExpressionParser::expect(TokenKind kind, const char* what) {
  if (next().kind != kind) fail(std::string("expected ") + what);
}

std::string ExpressionParser::expect_identifier() {
  if (peek().kind != TokenKind::kName) fail("expected a name");
  return next().text;
}

void ExpressionParser::fail(const std::string& what) const {
  const Token& token = peek();
  const std::string got = token.kind == TokenKind::kEnd ? "the end" : "'" + token.text + "'";
  throw InputError("chat template, line " + std::to_string(token.line) + ": " + what + ", got " +
                   got);
}

ExprPtr ExpressionParser::make(ExprKind kind, std::string text) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->text = std::move(text);
  return expr;
}

void ExpressionParser::add(Expr& parent, ExprPtr child) const {
  if (child) parent.depth = std::max(parent.depth, child->depth + 1);
  if (parent.depth > kMaxExprDepth) fail("expressions nested too deeply");
  parent.children.push_back(std::move(child));
}

ExprPtr ExpressionParser::parse_expression() {
  const Nesting nesting(*this);
  ExprPtr value = parse_or();
  while (accept_name("if")) {
    auto conditional = make(ExprKind::kConditional);
    add(*conditional, std::move(value));
    add(*conditional, parse_or());
    add(*conditional, accept_name("else") ? parse_expression() : nullptr);
    value = std::move(conditional);
  }
  return value;
}

ExprPtr ExpressionParser::parse_tuple(bool conditional) {
  const auto item = [&] { return conditional ? parse_expression() : parse_or(); };
  const auto ends = [&] {
    return peek().kind == TokenKind::kOutputEnd || peek().kind == TokenKind::kBlockEnd ||
           is_operator(")");
  };
  ExprPtr first = item();
  if (!is_operator(",")) return first;
  auto tuple = make(ExprKind::kTuple);
  add(*tuple, std::move(first));
  while (accept_operator(",") && !ends()) add(*tuple, item());
  return tuple;
}

template <class Next>
ExprPtr ExpressionParser::parse_left(std::initializer_list<std::string_view> operators,
                                     Next parse_next) {
  ExprPtr left = (this->*parse_next)();
  for (;;) {
    const auto found = std::find_if(operators.begin(), operators.end(), [&](std::string_view op) {
      return is_operator(op) || ((op == "and" || op == "or") && is_name(op));
    });
    if (found == operators.end()) return left;
    auto binary = make(ExprKind::kBinary, next().text);
    add(*binary, std::move(left));
    add(*binary, (this->*parse_next)());
    left = std::move(binary);
  }
}

ExprPtr ExpressionParser::parse_or() { return parse_left({"or"}, &ExpressionParser::parse_and); }

ExprPtr ExpressionParser::parse_and() { return parse_left({"and"}, &ExpressionParser::parse_not); }

ExprPtr ExpressionParser::parse_not() {
  if (!accept_name("not")) return parse_compare();
  const Nesting nesting(*this);
  auto unary = make(ExprKind::kUnary, "not");
  add(*unary, parse_not());
  return unary;
}

ExprPtr ExpressionParser::parse_compare() {
  static constexpr std::string_view kOperators[] = {"==", "!=", "<", ">", "<=", ">="};
  ExprPtr first = parse_sum();
  auto compare = make(ExprKind::kCompare);
  add(*compare, std::move(first));
  for (;;) {
    const bool plain = std::any_of(std::begin(kOperators), std::end(kOperators),
                                   [&](std::string_view op) { return is_operator(op); });
    if (plain) {
      compare->operators.push_back(next().text);
    } else if (accept_name("in")) {
      compare->operators.push_back("in");
    } else if (is_name("not") && is_name("in", 1)) {
      next();
      next();
      compare->operators.push_back("not in");
    } else {
      break;
    }
    add(*compare, parse_sum());
  }
  return compare->operators.empty() ? std::move(compare->children[0]) : std::move(compare);
}

ExprPtr ExpressionParser::parse_sum() {
  return parse_left({"+", "-"}, &ExpressionParser::parse_concat);
}

ExprPtr ExpressionParser::parse_concat() {
  ExprPtr first = parse_product();
  if (!is_operator("~")) return first;
  auto concat = make(ExprKind::kConcat);
  add(*concat, std::move(first));
  while (accept_operator("~")) add(*concat, parse_product());
  return concat;
}

ExprPtr ExpressionParser::parse_product() {
  return parse_left({"*", "/", "//", "%"}, &ExpressionParser::parse_power);
}

ExprPtr ExpressionParser::parse_power() {
  return parse_left({"**"}, &ExpressionParser::parse_filtered);
}

ExprPtr ExpressionParser::parse_filtered() {
  ExprPtr value = parse_unary();
  for (;;) {
    if (is_operator("|")) {
      value = parse_filter(std::move(value), false);
    } else if (accept_name("is")) {
      value = parse_test(std::move(value));
    } else if (is_operator("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::parse_unary() {
  if (!is_operator("-") && !is_operator("+")) return parse_postfix(parse_primary());
  const Nesting nesting(*this);
  ExprPtr value = make(ExprKind::kUnary, next().text);
  add(*value, parse_unary());
  return parse_postfix(std::move(value));
}

ExprPtr ExpressionParser::parse_primary() {
  const TokenKind kind = peek().kind;
  if (kind == TokenKind::kName) return parse_name();
  if (kind == TokenKind::kInteger || kind == TokenKind::kFloat) return parse_number();
  if (kind == TokenKind::kString) {
    auto literal = make(ExprKind::kLiteral);
    std::string text;
    while (peek().kind == TokenKind::kString) text += next().text;
    literal->literal = std::move(text);
    return literal;
  }
  if (accept_operator("(")) return parse_parenthesis();
  if (accept_operator("[")) return parse_list();
  if (accept_operator("{")) return parse_dict();
  fail("expected an expression");
}

ExprPtr ExpressionParser::parse_number() {
  auto literal = make(ExprKind::kLiteral);
  if (peek().kind == TokenKind::kInteger) {
    const auto value = parse_int(peek().text);
    if (!value) fail("an integer of more than 127 bits is not known here");
    literal->literal = *value;
  } else {
    const double value = std::strtod(peek().text.c_str(), nullptr);
    if (std::isinf(value)) fail("the number is too large");
    literal->literal = value;
  }
  next();
  return literal;
}

ExprPtr ExpressionParser::parse_name() {
  auto expr = make(ExprKind::kLiteral, next().text);
  const std::string_view name = expr->text;
  names_varargs_ = names_varargs_ || name == "varargs";
  names_kwargs_ = names_kwargs_ || name == "kwargs";
  names_caller_ = names_caller_ || name == "caller";
  if (name == "true" || name == "True") {
    expr->literal = true;
  } else if (name == "false" || name == "False") {
    expr->literal = false;
  } else if (name == "none" || name == "None") {
    expr->literal = None{};
  } else {
    expr->kind = ExprKind::kName;
  }
  return expr;
}

ExprPtr ExpressionParser::parse_parenthesis() {
  if (accept_operator(")")) return make(ExprKind::kTuple);
  ExprPtr inner = parse_tuple(true);
  expect_operator(")");
  return inner;
}

ExprPtr ExpressionParser::parse_list() {
  auto list = make(ExprKind::kList);
  while (!accept_operator("]")) {
    add(*list, parse_expression());
    if (!is_operator("]")) expect_operator(",");
  }
  return list;
}

ExprPtr ExpressionParser::parse_dict() {
  auto dict = make(ExprKind::kDict);
  while (!accept_operator("}")) {
    add(*dict, parse_expression());
    expect_operator(":");
    add(*dict, parse_expression());
    if (!is_operator("}")) expect_operator(",");
  }
  return dict;
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr value) {
  for (;;) {
    if (accept_operator(".")) {
      value = parse_member(std::move(value));
    } else if (accept_operator("[")) {
      value = parse_subscript(std::move(value));
    } else if (is_operator("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::parse_member(ExprPtr value) {
  const bool index = peek().kind == TokenKind::kInteger;
  auto member = make(index ? ExprKind::kIndex : ExprKind::kAttribute);
  add(*member, std::move(value));
  if (index) {
    add(*member, parse_number());
  } else {
    member->text = expect_identifier();
  }
  return member;
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr value) {
  auto expr = make(ExprKind::kIndex);
  add(*expr, std::move(value));
  const auto part = [&] {
    const bool empty = is_operator(":") || is_operator("]");
    add(*expr, empty ? nullptr : parse_expression());
  };
  part();
  while (accept_operator(":")) {
    expr->kind = ExprKind::kSlice;
    part();
  }
  expect_operator("]");
  if (expr->kind == ExprKind::kIndex && !expr->children[1]) fail("expected an index");
  if (expr->children.size() > 4) fail("expected at most two ':' in a slice");
  if (expr->kind == ExprKind::kSlice) expr->children.resize(4);
  return expr;
}

ExprPtr ExpressionParser::parse_call(ExprPtr value) {
  expect_operator("(");
  auto call = make(ExprKind::kCall);
  add(*call, std::move(value));
  parse_arguments(*call);
  return call;
}

ExprPtr ExpressionParser::parse_filter(ExprPtr value, bool at_name) {
  while (at_name || accept_operator("|")) {
    at_name = false;
    auto filter = make(ExprKind::kFilter, expect_identifier());
    add(*filter, std::move(value));
    if (accept_operator("(")) parse_arguments(*filter);
    value = std::move(filter);
  }
  return value;
}

ExprPtr ExpressionParser::parse_test(ExprPtr value) {
  const bool negated = accept_name("not");
  auto test = make(ExprKind::kTest, expect_identifier());
  add(*test, std::move(value));
  const TokenKind kind = peek().kind;
  const bool is_value = kind == TokenKind::kName || kind == TokenKind::kString ||
                        kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                        is_operator("[") || is_operator("{");
  if (accept_operator("(")) {
    parse_arguments(*test);
  } else if (is_value && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail("tests cannot be chained");
    add(*test, parse_postfix(parse_primary()));
  }
  if (!negated) return test;
  auto unary = make(ExprKind::kUnary, "not");
  add(*unary, std::move(test));
  return unary;
}

void ExpressionParser::parse_arguments(Expr& call) {
  const auto add_argument = [&] {
    if (is_operator("*") || is_operator("**")) fail("unpacking of arguments is not known here");
    const bool named = peek().kind == TokenKind::kName && is_operator("=", 1);
    std::string name;
    if (named) {
      name = next().text;
      next();
    } else if (!call.named.empty()) {
      fail("expected a name before the argument");
    }
    add(call, parse_expression());
    if (!named) return;
    call.named.emplace_back(std::move(name), std::move(call.children.back()));
    call.children.pop_back();
  };
  while (!accept_operator(")")) {
    add_argument();
    if (!is_operator(")")) expect_operator(",");
  }
}

}  // namespace weft::jinja

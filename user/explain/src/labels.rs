//! What is said at the instruction itself, in a few words: the title says it whole.

use skep_verifier::Rule;

/// The words for a rule.
pub(crate) fn of(rule: Rule) -> &'static str {
    match rule {
        Rule::Null => "the pointer may be null here",
        Rule::Dereference => "this is no pointer here",
        Rule::Arithmetic => "the pointer cannot be moved so",
        Rule::Initialised => "this has no value here",
        Rule::Packet => "this may lie behind the packet's end",
        Rule::Bounds => "this may lie outside",
        Rule::Stack => "this may lie outside the stack's variables",
        Rule::Context => "the context has no such field for this",
        Rule::Rights => "this may not be done with the memory",
        Rule::Alignment => "this is not aligned",
        Rule::Special => "these bytes are the kernel's",
        Rule::Argument => "this argument is not what the function takes",
        Rule::Return => "the program returns here",
        Rule::Leak => "it is not released here",
        Rule::Release => "this cannot be released here",
        Rule::Lock => "the lock forbids this here",
        Rule::Helper | Rule::Kfunc => "this cannot be called",
        Rule::Divisor => "the divisor is zero",
        Rule::Shift => "the shift is too far",
        Rule::Endless => "the loop never ends",
        Rule::Processed => "this goes round too often to be followed",
        Rule::Waiting => "too many ways lead on from here",
        Rule::Frames => "the calls nest too deep here",
        Rule::StackDepth => "the stacks are too large here",
        Rule::Reachable => "nothing leads here",
        Rule::FramePointer => "the frame pointer is changed here",
        _ => "it is rejected here",
    }
}

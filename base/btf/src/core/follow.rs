//! The path of a program, followed by names in a type of the target.

use super::access::{Bad, MAX_STEPS, Point, Spec, Step, member_name};
use super::compat::{Pair, Stop};
use super::error::CoreProblem;
use super::matches::Behind;
use super::name::essential_name;
use super::{Class, is_composite, is_enum};
use crate::btf::TypeId;
use crate::ext::CoreRelocKind;
use crate::kind::Kind;
use crate::layout::MAX_DEPTH;
use crate::record::Type;
use crate::types::Def;

/// What stops a path from being followed, and in whose BTF.
pub(super) enum Lost {
    Local(Bad),
    Target(Bad),
}

impl From<Stop> for Lost {
    fn from(stop: Stop) -> Lost {
        match stop {
            Stop::Local(error) => Lost::Local(Bad::Btf(error)),
            Stop::Target(error) => Lost::Target(Bad::Btf(error)),
        }
    }
}

fn target(bad: impl Into<Bad>) -> Lost {
    Lost::Target(bad.into())
}

/// Whether a name was found.
enum Found {
    /// It leads on to this type.
    Member(TypeId),
    /// No member has it.
    Nothing,
    /// A member has it whose type is another.
    Another,
}

impl Pair<'_> {
    /// Follows a path from the type `root` of the target; `None` where it does not lead anywhere.
    pub(super) fn follow(&mut self, spec: &Spec, root: TypeId) -> Result<Option<Spec>, Lost> {
        let mut made = Spec::new(spec.kind, root);
        let start = self.target.ty(root).map_err(target)?;
        self.budget.spend(start).map_err(target)?;
        let followed = match Class::of(spec.kind) {
            Class::Type if spec.kind == CoreRelocKind::TypeMatches => {
                self.matches(spec.root, root, Behind::Nothing, MAX_DEPTH)?
            }
            Class::Type => self.types_are_compatible(spec.root, root, MAX_DEPTH)?,
            Class::Enumerator => self.follow_enumerator(spec, &mut made)?,
            Class::Field => self.follow_points(spec, &mut made)?,
        };
        Ok(followed.then_some(made))
    }

    /// Finds the enumerator of the same name.
    fn follow_enumerator(&mut self, spec: &Spec, made: &mut Spec) -> Result<bool, Lost> {
        let ty = self.target.resolve(made.root).map_err(target)?;
        let (Def::Enum(item), Some(wanted)) = (ty.def(), spec.enumerator(self.local)) else {
            return Ok(false);
        };
        self.budget.spend_many(item.len(), ty).map_err(target)?;
        let wanted = essential_name(wanted.name);
        let found = item.values().position(|value| essential_name(value.name) == wanted);
        let Some(index) = found.filter(|_| is_enum(ty)) else { return Ok(false) };
        made.points.push(Point { type_id: ty.id(), index: index as u32, step: Step::Enumerator });
        made.raw.push(index as u32);
        Ok(true)
    }

    /// Takes each point in the target: members by name, elements by number.
    fn follow_points(&mut self, spec: &Spec, made: &mut Spec) -> Result<bool, Lost> {
        let mut id = made.root;
        for (at, point) in spec.points.iter().enumerate() {
            let ty = self.target.resolve(id).map_err(target)?;
            id = match point.step {
                Step::Member => {
                    let Some(name) = member_name(self.local, *point) else { return Ok(false) };
                    let local = self.member_type(*point)?;
                    match self.member(made, ty, name, local)? {
                        Found::Member(next) => next,
                        Found::Nothing | Found::Another => return Ok(false),
                    }
                }
                // The root stands for an element already.
                _ if at == 0 => self.element(made, ty, point.index)?,
                _ => {
                    let Def::Array(array) = ty.def() else { return Ok(false) };
                    if point.index >= array.len && !made.is_flexible(self.target, array).map_err(target)? {
                        return Ok(false);
                    }
                    let elem = self.target.resolve(array.elem).map_err(target)?;
                    self.element(made, elem, point.index)?
                }
            };
        }
        Ok(true)
    }

    fn element(&self, made: &mut Spec, elem: Type<'_>, index: u32) -> Result<TypeId, Lost> {
        if made.raw.len() == MAX_STEPS {
            return Err(target(CoreProblem::TooLong));
        }
        made.raw.push(index);
        made.points.push(Point { type_id: elem.id(), index, step: Step::Element });
        let size = self.target.size_of(elem.id()).map_err(target)?;
        made.add_elements(index, size).map_err(target)?;
        Ok(elem.id())
    }

    /// The type of the local member that a point leads to.
    fn member_type(&self, point: Point) -> Result<TypeId, Lost> {
        let local = |bad: Bad| Lost::Local(bad);
        let ty = self.local.ty(point.type_id).map_err(|error| local(error.into()))?;
        let members = ty.as_composite().map_err(|error| local(error.into()))?.members;
        let member = members.get(point.index as usize);
        member.map(|member| member.type_id).ok_or_else(|| local(CoreProblem::Access.into()))
    }

    /// Finds a member by name, in anonymous structs and unions too.
    fn member(&mut self, made: &mut Spec, ty: Type<'_>, name: &str, local: TypeId) -> Result<Found, Lost> {
        let Ok(composite) = ty.as_composite() else { return Ok(Found::Nothing) };
        for (index, name_off) in ty.element_names(Kind::Struct).enumerate() {
            self.budget.spend(ty).map_err(target)?;
            if made.raw.len() == MAX_STEPS {
                return Err(target(CoreProblem::TooLong));
            }
            // Names are compared where they are stored; most members are not the one.
            let is_named = !self.target.is_named(name_off, "");
            if is_named && !self.target.is_named(name_off, name) {
                continue;
            }
            let Some(member) = composite.members.get(index) else { break };
            let before = made.bit_offset;
            made.raw.push(index as u32);
            made.add_bits(u64::from(member.bit_offset)).map_err(target)?;
            if is_named {
                if !self.fields_are_compatible(local, member.type_id)? {
                    return Ok(Found::Another);
                }
                made.points.push(Point { type_id: ty.id(), index: index as u32, step: Step::Member });
                return Ok(Found::Member(member.type_id));
            }
            let inner = self.target.resolve(member.type_id).map_err(target)?;
            if is_composite(inner) {
                match self.member(made, inner, name, local)? {
                    Found::Nothing => {}
                    found => return Ok(found),
                }
            }
            made.raw.pop();
            made.bit_offset = before;
        }
        Ok(Found::Nothing)
    }
}

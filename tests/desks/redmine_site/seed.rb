# The tables, Redmine's default data, a private project with a field for our reference, our user and a technician.

require_relative 'instance'

ActiveRecord::Migration.verbose = false
ActiveRecord::Base.connection.migration_context.migrate
ActiveRecord::Base.descendants.each(&:reset_column_information)
Redmine::DefaultData::Loader.load('en')
Setting.rest_api_enabled = '1'

project = Project.create!(name: 'Backups', identifier: 'backups', is_public: false, trackers: Tracker.all)
IssueCustomField.create!(
  name: 'External key', field_format: 'string', is_filter: true, is_for_all: true, trackers: Tracker.all
)
bugs_only = [Tracker.find_by!(name: 'Bug')]
IssueCustomField.create!(name: 'Bugs only', field_format: 'string', is_filter: true, is_for_all: true, trackers: bugs_only)

def role(name, permissions)
  made = Role.create!(name: name, permissions: permissions)
  made.copy_workflow_rules(Role.find_by!(name: 'Manager'))
  made
end

def person(login, first, last, project, role)
  user = User.new(firstname: first, lastname: last, mail: "#{login}@desk.example")
  user.login = login
  user.password = "#{login}-s3cret-password"
  user.save!
  Member.create!(project: project, principal: user, roles: [role])
  puts "key #{user.api_key}"
end

ours = role('Backup watch', %i[view_issues add_issues edit_issues add_issue_notes])
theirs = role('Technician', %i[view_issues add_issues edit_issues add_issue_notes delete_issues])
theirs.update!(assignable: true)
person('backledger', 'Back', 'Ledger', project, ours)
person('tina', 'Tina', 'Tech', project, theirs)

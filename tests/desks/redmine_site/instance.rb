# Debian's Redmine with everything it writes below DESK_FOLDER: nothing of the machine's own instances is read or changed.

require '/usr/share/redmine/config/boot'
require 'pathname'
require '/usr/share/redmine/lib/redmine/multi_tenancy'

module Redmine
  def self.root
    Pathname.new(ENV.fetch('DESK_FOLDER'))
  end
end

Dir.chdir('/usr/share/redmine')
require '/usr/share/redmine/config/environment'
